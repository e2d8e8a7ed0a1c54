# Compute the reference values of test_parts_against_proc.py with pROC (Robin et al. 2011, BMC Bioinformatics 12:77).
#
#   apt-get install r-cran-proc && Rscript proc_parts.R
#
# reads proc_data.csv (see proc.R) and writes proc_parts.csv beside this script: partial AUCs, sensitivities at specificities, and the
# unpaired test of DeLong, of which the first and second half of each set are the two samples.
suppressPackageStartupMessages(library(pROC))
options(digits = 17)
data <- read.csv("proc_data.csv")
rows <- list()
add <- function(set, what, first, second, value)
  rows[[length(rows) + 1]] <<- data.frame(set = set, what = what, first = first, second = second,
                                          value = sprintf("%.17g", value))
curve <- function(part, name)
  roc(part$truth, part[[name]], levels = c(0, 1), direction = "<", quiet = TRUE)
for (set in unique(data$set)) {
  part <- data[data$set == set, ]
  half <- seq_len(nrow(part)) <= nrow(part) / 2
  for (name in c("a", "b", "c")) {
    one <- curve(part, name)
    for (range in list(c(0.9, 1), c(0.5, 0.8), c(0.55, 0.975), c(0, 1))) {
      words <- paste(range, collapse = "-")
      add(set, "partial", name, words, as.numeric(auc(one, partial.auc = rev(range))))
      if (range[1] > 0)
        add(set, "corrected", name, words, as.numeric(auc(one, partial.auc = rev(range), partial.auc.correct = TRUE)))
    }
    for (specificity in c(0.5, 0.8, 0.9, 0.95))
      add(set, "sensitivity", name, format(specificity),
          as.numeric(coords(one, specificity, input = "specificity", ret = "sensitivity")))
    test <- roc.test(curve(part[half, ], name), curve(part[!half, ], name), method = "delong", paired = FALSE)
    add(set, "unpaired t", name, "", as.numeric(test$statistic))
    add(set, "unpaired p", name, "", as.numeric(test$p.value))
  }
}
cat("# pROC ", as.character(packageVersion("pROC")), ", R ", as.character(getRversion()), "\n", sep = "", file = "proc_parts.csv")
suppressWarnings(write.table(do.call(rbind, rows), "proc_parts.csv", sep = ",", row.names = FALSE, quote = FALSE,
                             append = TRUE))
