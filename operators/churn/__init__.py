"""Who is about to leave: scores from online models, learnt from labels that come late. See docs/churn.md."""
