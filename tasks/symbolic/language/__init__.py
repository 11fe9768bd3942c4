"""What an expression is: operators, token rows, trees, and text in both directions."""
