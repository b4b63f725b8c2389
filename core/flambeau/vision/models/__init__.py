"""Image classifiers (torchvision's ``torchvision.models``), whose published weights load.

``weights="DEFAULT"``, or another name, fetches weights through :mod:`flambeau.hub`.
"""

from flambeau.vision.models._api import Weights as Weights
from flambeau.vision.models._api import WeightsEnum as WeightsEnum
from flambeau.vision.models._api import get_model as get_model
from flambeau.vision.models._api import get_model_builder as get_model_builder
from flambeau.vision.models._api import get_model_weights as get_model_weights
from flambeau.vision.models._api import get_weight as get_weight
from flambeau.vision.models._api import list_models as list_models
from flambeau.vision.models.alexnet import *  # noqa: F403
from flambeau.vision.models.convnext import *  # noqa: F403
from flambeau.vision.models.densenet import *  # noqa: F403
from flambeau.vision.models.efficientnet import *  # noqa: F403
from flambeau.vision.models.googlenet import *  # noqa: F403
from flambeau.vision.models.mobilenetv2 import *  # noqa: F403
from flambeau.vision.models.mobilenetv3 import *  # noqa: F403
from flambeau.vision.models.resnet import *  # noqa: F403
from flambeau.vision.models.shufflenetv2 import *  # noqa: F403
from flambeau.vision.models.squeezenet import *  # noqa: F403
from flambeau.vision.models.vgg import *  # noqa: F403
from flambeau.vision.models.vision_transformer import *  # noqa: F403
