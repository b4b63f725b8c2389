"""Private names of ``torch.utils.data.dataloader`` that libraries use."""

from flambeau.data.collate import default_collate as default_collate
from flambeau.data.iterator import InProcessIterator, LoaderIterator, WorkerIterator
from flambeau.data.sampler import RandomSampler as RandomSampler
from flambeau.data.sampler import SequentialSampler as SequentialSampler

_BaseDataLoaderIter = LoaderIterator
_MultiProcessingDataLoaderIter = WorkerIterator
_SingleProcessDataLoaderIter = InProcessIterator
