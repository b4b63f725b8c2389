"""What programs ask of ``torch.utils``, beyond flambeau's own names."""
