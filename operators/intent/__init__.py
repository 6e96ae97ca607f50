"""Will this visit bring an order? Scored while the visitor is there, learnt like churn."""
