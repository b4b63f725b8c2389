"""What programs ask of ``torch.nn``, beyond flambeau's own names."""
