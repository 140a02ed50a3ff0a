# Figures of reference from R, written as JSON to standard output.
#
#     Rscript tests/references/make_references.R tests/data/reference_ratings.csv
#
# Everything is computed in the plainest way that base R, stats and psych offer: loops, lm, cor. Nothing
# here shares an algorithm with the code under test. make_references.py stores the output.

suppressMessages(library(psych))

path <- commandArgs(trailingOnly = TRUE)[1]
data <- read.csv(path, stringsAsFactors = FALSE)
value_names <- grep("^value_", names(data), value = TRUE)
ratings <- as.matrix(data[, value_names])
scale_ends <- c(0, 6)
by_value <- function(f) sapply(value_names, f, USE.NAMES = FALSE)

# ---- JSON ------------------------------------------------------------------------------------------------
number <- function(x) ifelse(is.na(x), "null", sprintf("%.15g", x))
json <- function(x) {
  if (is.list(x)) {
    parts <- vapply(x, json, "")
    if (is.null(names(x))) return(paste0("[", paste(parts, collapse = ", "), "]"))
    return(paste0("{", paste0("\"", names(x), "\": ", parts, collapse = ", "), "}"))
  }
  if (is.matrix(x)) return(paste0("[", paste(apply(x, 1, function(row) json(unname(row))), collapse = ", "), "]"))
  if (is.character(x)) return(paste0("\"", x, "\""))
  if (length(x) == 1 && is.null(attr(x, "vector"))) return(number(x))
  paste0("[", paste(number(x), collapse = ", "), "]")
}

# ---- Spearman: pairs of raters of a post, and a rater against the others' rounded mean ---------------------
rho_or_na <- function(a, b) {
  both <- !is.na(a) & !is.na(b)
  if (sum(both) < 2 || length(unique(a[both])) < 2 || length(unique(b[both])) < 2) return(NA_real_)
  cor(a[both], b[both], method = "spearman")
}
posts <- 0:max(data$post)
human_human <- lapply(posts, function(post) {
  rows <- which(data$post == post)
  if (length(rows) < 2) return(numeric(0))
  combn(length(rows), 2, function(pair) rho_or_na(ratings[rows[pair[1]], ], ratings[rows[pair[2]], ]))
})
human_consensus <- lapply(posts, function(post) {
  rows <- which(data$post == post)
  sapply(rows, function(row) {
    others <- setdiff(rows, row)
    if (length(others) == 0) return(NA_real_)
    means <- colMeans(ratings[others, , drop = FALSE], na.rm = TRUE)
    rho_or_na(ratings[row, ], floor(means + 0.5 + 1e-12))
  })
})
summarise_rho <- function(rhos) {
  per_post <- sapply(rhos, function(r) if (all(is.na(r))) NA_real_ else mean(r, na.rm = TRUE))
  list(
    rho = mean(per_post, na.rm = TRUE), per_post = per_post,
    n_defined = sum(!is.na(unlist(rhos))), n_undefined = sum(is.na(unlist(rhos)))
  )
}

# ---- Krippendorff's alpha, from the coincidences of every pair of ratings of a post -------------------------
krippendorff <- function(level, column) {
  seen <- sort(unique(na.omit(ratings[, column])))
  q <- length(seen)
  coincidences <- matrix(0, q, q)
  for (post in posts) {
    values <- na.omit(ratings[data$post == post, column])
    m <- length(values)
    if (m < 2) next
    for (i in seq_len(m)) for (j in seq_len(m)) if (i != j) {
      a <- match(values[i], seen)
      b <- match(values[j], seen)
      coincidences[a, b] <- coincidences[a, b] + 1 / (m - 1)
    }
  }
  n_c <- rowSums(coincidences)
  difference <- matrix(0, q, q)
  for (a in seq_len(q)) for (b in seq_len(q)) if (a != b) {
    difference[a, b] <- switch(level,
      nominal = 1,
      ordinal = (sum(n_c[min(a, b):max(a, b)]) - (n_c[a] + n_c[b]) / 2)^2,
      interval = (seen[a] - seen[b])^2,
      ratio = ((seen[a] - seen[b]) / (seen[a] + seen[b]))^2
    )
  }
  observed <- sum(coincidences * difference) / sum(n_c)
  expected <- sum(outer(n_c, n_c) * difference) / (sum(n_c) * (sum(n_c) - 1))
  1 - observed / expected
}

# ---- Cohen's kappa of every pair of raters who share at least five posts, by psych -------------------------
categories <- scale_ends[1]:scale_ends[2]
q <- length(categories)
apart <- abs(outer(categories, categories, "-"))
agreement_weights <- list(
  identity = diag(q), linear = 1 - apart / (q - 1), quadratic = 1 - (apart / (q - 1))^2,
  ordinal = 1 - choose(apart + 1, 2) / choose(q, 2)
)
pair_tables <- function(column) {
  raters <- sort(unique(data$rater))
  tables <- list()
  for (pair in combn(length(raters), 2, simplify = FALSE)) {
    of <- function(k) data[data$rater == raters[pair[k]] & !is.na(data[[column]]), c("post", column)]
    both <- merge(of(1), of(2), by = "post")
    if (nrow(both) >= 5) {
      tables[[length(tables) + 1]] <- table(factor(both[, 2], categories), factor(both[, 3], categories))
    }
  }
  tables
}
pairwise_kappa <- function(column) {
  tables <- pair_tables(column)
  kappas <- sapply(names(agreement_weights), function(name) {
    sapply(tables, function(t) {
      suppressWarnings(suppressMessages(cohen.kappa(t, w = agreement_weights[[name]])$weighted.kappa))
    })
  })
  list(
    mean = as.list(colMeans(kappas, na.rm = TRUE)), n_pairs_defined = sum(!is.na(kappas[, 1])),
    n_pairs_undefined = sum(is.na(kappas[, 1]))
  )
}

# ---- One-way analysis of variance, by lm ---------------------------------------------------------------------
intraclass <- function(column) {
  present <- !is.na(ratings[, column])
  y <- ratings[present, column]
  post <- factor(data$post[present])
  table_ <- anova(lm(y ~ post))
  between <- table_[1, "Mean Sq"]
  within <- table_[2, "Mean Sq"]
  n_i <- as.vector(table(post))
  n0 <- (sum(n_i) - sum(n_i^2) / sum(n_i)) / (length(n_i) - 1)
  f <- between / within
  limits <- f / qf(c(0.975, 0.025), table_[1, "Df"], table_[2, "Df"])
  list(
    icc1 = (between - within) / (between + (n0 - 1) * within), icc_k = (between - within) / between, n0 = n0,
    f = f, df_between = table_[1, "Df"], df_within = table_[2, "Df"],
    icc1_low = (limits[1] - 1) / (limits[1] - 1 + n0), icc1_high = (limits[2] - 1) / (limits[2] - 1 + n0),
    icc_k_low = 1 - 1 / limits[1], icc_k_high = 1 - 1 / limits[2]
  )
}

# Six persons, four judges: Shrout and Fleiss (1979), Psychological Bulletin 86(2), 420-428, Table 2.
shrout_fleiss <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7), 6, byrow = TRUE)
icc <- ICC(shrout_fleiss, lmer = FALSE)$results

# ---- Cronbach's alpha: each complete row is a person, each value an item ---------------------------------------
cronbach <- function(items) {
  sink(nullfile())  # psych writes its advice about reversed items with cat()
  on.exit(sink())
  fit <- suppressWarnings(suppressMessages(alpha(items)))
  list(
    cronbach_alpha = fit$total$raw_alpha, low = fit$feldt$lower.ci[[1]], high = fit$feldt$upper.ci[[1]],
    n_people = nrow(items), n_items = ncol(items)
  )
}

# ---- Regressions ------------------------------------------------------------------------------------------------
clustered <- function(column) {
  rows <- data[!is.na(data[[column]]), ]
  fit <- lm(rows[[column]] ~ rows$score + rows$age + (rows$party == "left") + (rows$party == "right"))
  x <- model.matrix(fit)
  bread <- solve(crossprod(x))
  scores <- rowsum(x * residuals(fit), rows$rater)
  cr0 <- bread %*% crossprod(scores) %*% bread
  g <- nrow(scores)
  n <- nrow(x)
  k <- ncol(x)
  cr1 <- cr0 * g / (g - 1) * (n - 1) / (n - k)
  t <- coef(fit) / sqrt(diag(cr1))
  list(
    coefficients = unname(coef(fit)), standard_errors_cr1 = unname(sqrt(diag(cr1))),
    standard_errors_cr0 = unname(sqrt(diag(cr0))), t = unname(t), p = unname(2 * pt(-abs(t), g - 1)),
    low = unname(coef(fit) - qt(0.975, g - 1) * sqrt(diag(cr1))),
    high = unname(coef(fit) + qt(0.975, g - 1) * sqrt(diag(cr1))), n_rows = n, n_clusters = g,
    r_squared = summary(fit)$r.squared
  )
}
of_raters <- aggregate(data[value_names], data["rater"], mean, na.rm = TRUE)
of_raters <- merge(of_raters, unique(data[c("rater", "age", "score", "party")]), by = "rater")
ordinary <- function(column) {
  fit <- lm(of_raters[[column]] ~ of_raters$age + (of_raters$party == "left") + (of_raters$party == "right"))
  s <- summary(fit)
  limits <- confint(fit)
  list(
    coefficients = unname(s$coefficients[, 1]), standard_errors = unname(s$coefficients[, 2]),
    t = unname(s$coefficients[, 3]), p = unname(s$coefficients[, 4]), low = unname(limits[, 1]),
    high = unname(limits[, 2]), r_squared = s$r.squared, n_rows = nrow(of_raters), df = fit$df.residual,
    residual_standard_error = s$sigma, f = unname(s$fstatistic[1])
  )
}

# ---- Welch's test: screened posts against the others, over ratings and over post means ----------------------------
welch <- function(inside, outside) {
  test <- t.test(inside, outside)
  list(
    mean_in = mean(inside), mean_out = mean(outside), difference = mean(inside) - mean(outside),
    t = test$statistic[[1]], df = test$parameter[[1]], p = test$p.value, low = test$conf.int[1],
    high = test$conf.int[2], n_in = length(inside), n_out = length(outside)
  )
}
screening <- function(column) {
  rows <- data[!is.na(data[[column]]), ]
  post_means <- aggregate(rows[[column]], rows[c("post", "screened")], mean)
  list(
    over_ratings = welch(rows[rows$screened == 1, column], rows[rows$screened == 0, column]),
    over_posts = welch(post_means$x[post_means$screened == 1], post_means$x[post_means$screened == 0])
  )
}

# ---- Classical scaling ---------------------------------------------------------------------------------------------
correlations <- cor(ratings, use = "pairwise.complete.obs")
scaling <- function(distances) {
  fit <- cmdscale(distances, k = 2, eig = TRUE)
  list(points = unname(fit$points), eigenvalues = fit$eig, gof = fit$GOF)
}

per_value <- function(f) unname(lapply(value_names, f))
levels_ <- c("nominal", "ordinal", "interval", "ratio")
cat(json(list(
  versions = list(R = as.character(getRversion()), psych = as.character(packageVersion("psych"))),
  human_human = summarise_rho(human_human),
  human_consensus = summarise_rho(human_consensus),
  krippendorff_alpha = setNames(lapply(levels_, function(l) by_value(function(v) krippendorff(l, v))), levels_),
  pairwise_kappa = per_value(pairwise_kappa),
  intraclass = per_value(intraclass),
  shrout_fleiss = list(
    icc1 = icc["Single_raters_absolute", "ICC"], icc1_low = icc["Single_raters_absolute", "lower bound"],
    icc1_high = icc["Single_raters_absolute", "upper bound"], icc_k = icc["Average_raters_absolute", "ICC"],
    icc_k_low = icc["Average_raters_absolute", "lower bound"],
    icc_k_high = icc["Average_raters_absolute", "upper bound"]
  ),
  cronbach = list(
    ratings = cronbach(data[complete.cases(ratings), value_names]), lsat6 = cronbach(as.data.frame(lsat6)),
    attitude = cronbach(attitude)
  ),
  ols_clustered = per_value(clustered),
  ols = per_value(ordinary),
  welch = per_value(screening),
  correlations = unname(correlations),
  cmdscale = list(
    one_minus_r = scaling(1 - correlations), chord = scaling(sqrt(2 * (1 - correlations))),
    eurodist = c(list(distances = unname(as.matrix(eurodist))), scaling(eurodist))
  )
)), "\n")
