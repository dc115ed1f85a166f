"""Text: bags of words and n-grams, and the task of telling good reviews from bad."""
