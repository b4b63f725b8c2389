"""What programs ask of ``torch.nn.modules``, beyond flambeau's own names."""
