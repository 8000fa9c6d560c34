"""The normal operator W = A^H C^-1 A: the data, reduced once to what a likelihood needs."""

from .accumulate import ReductionSums
from .build import load_normal_operator, normal_operator, operator_from_reduction, reduce, reduce_partitions, suited
from .calibrated import reduce_calibrated
from .choose import SourceSize, expected_rank, known_rank
from .joint import JointNormalOperator, JointReduction, joint_operator
from .nuisances import Nuisances, NuisanceTerm
from .operator import AbstractNormalOperator
from .partitions import Schedule
from .psf import PSFNormalOperator
from .psf_reduction import ImagingReduction, reduce_image
from .reduction import Reduction
from .shared import SharedChannels, can_share, share_curvature

__all__ = [
    "AbstractNormalOperator",
    "ImagingReduction",
    "JointNormalOperator",
    "JointReduction",
    "NuisanceTerm",
    "Nuisances",
    "PSFNormalOperator",
    "Reduction",
    "ReductionSums",
    "Schedule",
    "SharedChannels",
    "SourceSize",
    "can_share",
    "expected_rank",
    "joint_operator",
    "known_rank",
    "load_normal_operator",
    "normal_operator",
    "operator_from_reduction",
    "reduce",
    "reduce_calibrated",
    "reduce_image",
    "reduce_partitions",
    "share_curvature",
    "suited",
]
