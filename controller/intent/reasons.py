"""The reasons why a resource is in force or not, for status, API and metrics alike. Pure.

docs/KUBERNETES.md explains each; the names are OpenPERouter's where it has one.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The reason of a resource's status, one word for programs; the message is for people."""

    CONFIGURATION_SUCCESSFUL = "ConfigurationSuccessful"
    VALIDATION_FAILED = "ValidationFailed"
    DEPENDENCY_FAILED = "DependencyFailed"
    UNDERLAY_FAILED = "UnderlayFailed"
    OVERLAY_ATTACHMENT_FAILED = "OverlayAttachmentFailed"
    FRR_CONFIGURATION_FAILED = "FrrConfigurationFailed"
    NOT_IN_FORCE = "NotInForce"
