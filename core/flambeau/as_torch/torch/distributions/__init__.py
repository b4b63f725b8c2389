"""What programs ask of ``torch.distributions``, beyond flambeau's own names."""
