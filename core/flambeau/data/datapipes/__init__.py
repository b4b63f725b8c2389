"""Datasets made of steps that are chained: ``IterableWrapper(x).map(f).batch(4)``.

The names of ``torch.utils.data.datapipes``, as far as they are public in ``torch.utils.data``, with
the steps that are used most.
"""

from flambeau.data.datapipes import iter as iter
from flambeau.data.datapipes import map as map
from flambeau.data.datapipes.chunk import DataChunk as DataChunk
from flambeau.data.datapipes.decorators import argument_validation as argument_validation
from flambeau.data.datapipes.decorators import functional_datapipe as functional_datapipe
from flambeau.data.datapipes.decorators import (
    guaranteed_datapipes_determinism as guaranteed_datapipes_determinism,
)
from flambeau.data.datapipes.decorators import non_deterministic as non_deterministic
from flambeau.data.datapipes.decorators import runtime_validation as runtime_validation
from flambeau.data.datapipes.decorators import (
    runtime_validation_disabled as runtime_validation_disabled,
)
from flambeau.data.datapipes.pipe import DFIterDataPipe as DFIterDataPipe
from flambeau.data.datapipes.pipe import IterDataPipe as IterDataPipe
from flambeau.data.datapipes.pipe import MapDataPipe as MapDataPipe
