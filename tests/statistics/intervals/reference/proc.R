# Compute the reference values of test_against_proc.py with pROC (Robin et al. 2011, BMC Bioinformatics 12:77).
#
#   apt-get install r-cran-proc && Rscript proc.R
#
# writes proc_data.csv (pROC's own example data aSAH, Turck et al. 2010, Intensive Care Med 36:107, and a set with many
# ties) and proc_values.csv beside this script. Numbers have 17 digits, so nothing is lost between the two programs.
suppressPackageStartupMessages(library(pROC))
options(digits = 17)
set.seed(20240517)
data(aSAH)

sah <- data.frame(set = "aSAH", truth = as.integer(aSAH$outcome == "Poor"),
                  a = aSAH$s100b, b = aSAH$ndka, c = as.numeric(as.character(aSAH$wfns)))
n <- 400
truth <- as.integer(runif(n) < 0.25)
shared <- rnorm(n)
ties <- data.frame(set = "ties", truth = truth, a = round(truth + shared + rnorm(n)),
                   b = round(0.5 * truth + shared + rnorm(n), 1), c = round(2 * truth + rnorm(n)))
data <- rbind(sah, ties)
write.csv(data, "proc_data.csv", row.names = FALSE, quote = FALSE)

rows <- list()
add <- function(set, what, first, second, value)
  rows[[length(rows) + 1]] <<- data.frame(set = set, what = what, first = first, second = second,
                                          value = sprintf("%.17g", value))
for (set in unique(data$set)) {
  part <- data[data$set == set, ]
  curves <- lapply(c(a = "a", b = "b", c = "c"), function(name)
    roc(part$truth, part[[name]], levels = c(0, 1), direction = "<", quiet = TRUE))
  for (name in names(curves)) {
    curve <- curves[[name]]
    add(set, "auc", name, "", as.numeric(auc(curve)))
    add(set, "variance", name, "", var(curve, method = "delong"))
    for (level in c(0.9, 0.95, 0.99)) {
      ends <- as.numeric(ci.auc(curve, conf.level = level, method = "delong"))
      add(set, paste0("low ", level), name, "", ends[1])
      add(set, paste0("high ", level), name, "", ends[3])
    }
  }
  for (pair in list(c("a", "b"), c("a", "c"), c("b", "c"))) {
    test <- roc.test(curves[[pair[1]]], curves[[pair[2]]], method = "delong", paired = TRUE)
    add(set, "z", pair[1], pair[2], as.numeric(test$statistic))
    add(set, "p", pair[1], pair[2], as.numeric(test$p.value))
    add(set, "covariance", pair[1], pair[2], cov(curves[[pair[1]]], curves[[pair[2]]], method = "delong"))
  }
}
version <- paste0("# pROC ", packageVersion("pROC"), ", R ", getRversion())
cat(version, "\n", sep = "", file = "proc_values.csv")
suppressWarnings(write.table(do.call(rbind, rows), "proc_values.csv", sep = ",", row.names = FALSE, quote = FALSE,
                             append = TRUE))
