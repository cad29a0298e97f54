"""What watches a training: results, curves, pictures, progress, and the table of a sweep."""
