"""Inputs to observe programs on, made of a task's annotations and examples, without a model."""

from verifiers.inputs.probes import PROBES as PROBES
from verifiers.inputs.probes import example_arguments as example_arguments
from verifiers.inputs.probes import make_probes as make_probes
