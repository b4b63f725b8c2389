"""What programs ask of ``torch.utils.data``, beyond flambeau's own names."""
