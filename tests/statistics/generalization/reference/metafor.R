# Compute the reference values of test_next_hospital.py with metafor (Viechtbauer 2010, J Stat Softw 36:3).
#
#   apt-get install r-cran-metafor && Rscript metafor.R
#
# writes metafor_data.csv (the trials of BCG vaccine, Colditz et al. 1994, JAMA 271:698, as log risk ratios, and made-up sets) and
# metafor_values.csv beside this script: Paule-Mandel's tau2, Hartung and Knapp's mean that is never narrower than without it ("adhoc").
suppressPackageStartupMessages(library(metafor))
bcg <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
yi <- c(1.10, 1.65, 0.80, 1.95, 1.40)
vi <- c(0.04, 0.09, 0.02, 0.16, 0.05)
data <- rbind(data.frame(set = "bcg", effect = as.numeric(bcg$yi), variance = as.numeric(bcg$vi)),
              data.frame(set = "five", effect = yi, variance = vi),
              data.frame(set = "three", effect = yi[1:3], variance = vi[1:3]),
              data.frame(set = "two", effect = yi[1:2], variance = vi[1:2]),
              data.frame(set = "alike", effect = c(1, 1.1, 1.05), variance = vi[1:3]))
data$effect <- sprintf("%.17g", data$effect)
data$variance <- sprintf("%.17g", data$variance)
write.csv(data, "metafor_data.csv", row.names = FALSE, quote = FALSE)
rows <- NULL
for (set in unique(data$set)) {
  part <- data[data$set == set, ]
  fit <- rma(as.numeric(part$effect), as.numeric(part$variance), method = "PM", test = "adhoc",
             control = list(tol = 1e-13, maxiter = 10000))
  ahead <- predict(fit)
  values <- c(mean = fit$beta[1], low = fit$ci.lb, high = fit$ci.ub, next_low = ahead$pi.lb, next_high = ahead$pi.ub,
              tau = sqrt(fit$tau2), i2 = fit$I2 / 100, q = fit$QE)
  rows <- rbind(rows, data.frame(set = set, what = names(values), value = sprintf("%.12g", values)))
}
write.csv(rows, "metafor_values.csv", row.names = FALSE, quote = FALSE)
