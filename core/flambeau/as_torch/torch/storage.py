"""``torch.storage``: the classes of storages."""

from flambeau.storages import TypedStorage as TypedStorage
from flambeau.storages import UntypedStorage as UntypedStorage
from flambeau.storages.legacy import LegacyStorage

_LegacyStorage = LegacyStorage
