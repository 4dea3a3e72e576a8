"""What is kept: object files, and the tables that are the truth about them."""
