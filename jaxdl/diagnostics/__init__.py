"""What goes on inside nets: gradient norms, activation statistics, mean-field theory."""
