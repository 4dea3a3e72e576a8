# What R says: areas by pROC's DeLong, shares and McNemar by R itself. Reads a table of exams (case, positive, first,
# second) and one of counts (count, of); prints a line for each number: name, then its values.
suppressPackageStartupMessages(library(pROC))
files <- commandArgs(trailingOnly = TRUE)
told <- function(name, ...) cat(name, format(c(...), digits = 17), "\n")
exams <- read.csv(files[1])
for (case in unique(exams$case)) {
  rows <- exams[exams$case == case, ]
  first <- roc(rows$positive, rows$first, levels = c(0, 1), direction = "<", quiet = TRUE)
  second <- roc(rows$positive, rows$second, levels = c(0, 1), direction = "<", quiet = TRUE)
  told(paste0("area.", case), auc(first), sqrt(var(first, method = "delong")))
  test <- roc.test(first, second, method = "delong", paired = TRUE)
  told(paste0("difference.", case), auc(first) - auc(second), test$statistic, test$p.value)
}
counts <- read.csv(files[2])
for (row in seq_len(nrow(counts))) {
  count <- counts$count[row]
  of <- counts$of[row]
  told(paste0("wilson.", row - 1), suppressWarnings(prop.test(count, of, correct = FALSE))$conf.int)
  told(paste0("clopper_pearson.", row - 1), binom.test(count, of)$conf.int)
  told(paste0("mcnemar.", row - 1), binom.test(count, of)$p.value)
}
