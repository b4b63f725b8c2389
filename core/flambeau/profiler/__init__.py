"""Profiling: which operators a program calls, how long they take, what memory they need."""

from flambeau.profiler.actions import (
    DeviceType,
    ProfilerAction,
    ProfilerActivity,
    kineto_available,
    schedule,
    supported_activities,
)
from flambeau.profiler.annotate import record_function
from flambeau.profiler.profiler import profile, tensorboard_trace_handler

__all__ = [
    "DeviceType",
    "ProfilerAction",
    "ProfilerActivity",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]
