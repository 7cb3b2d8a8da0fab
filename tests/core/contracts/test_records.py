"""Records: a builder that does not take what it is called with is named with its plugin."""

from __future__ import annotations

import pickle
from types import ModuleType

import pytest

from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.record import Provider
from sightsmith.core.contracts.records import LoggerRecord
from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import PluginError


def tiny(classes, *, channels):
    return classes, channels


def failing(classes):
    raise TypeError(f"{classes} of my own")


def installed(builder):
    """The network of a plugin whose builder this function is."""
    module = ModuleType("mine")
    record = NetworkRecord(name="tiny", description="", builder=f"{__name__}:{builder.__name__}", task="t", family="f",
                           parameters=1, input_size=8)
    module.sightsmith_networks = hookimpl(lambda: [record])
    return Plugins([(Provider("mine", "my-package", "1.2"), lambda: module)]).network("tiny")


def test_a_builder_is_called_with_what_it_takes():
    assert installed(tiny).make(3, channels=1) == (3, 1)


@pytest.mark.parametrize(("arguments", "named", "parts"), [
    ((), {"num_classes": 3, "channels": 1}, ["is called with (num_classes=, channels=)", "'classes'"]),
    ((3, 1), {}, ["is called with (int, int)", "too many positional arguments"]),
    ((3,), {"channels": 1, "size": 8}, ["unexpected keyword argument 'size'"]),
])
def test_a_builder_of_another_signature_is_named_with_plugin_record_and_difference(arguments, named, parts):
    with pytest.raises(PluginError) as raised:
        installed(tiny).make(*arguments, **named)
    text = str(raised.value)
    assert text.startswith(f"plugin mine (my-package 1.2): network 'tiny': the builder {__name__}:tiny takes "
                           "(classes, *, channels), but ")
    assert all(part in text for part in parts), text
    assert str(pickle.loads(pickle.dumps(raised.value))) == text  # as a rank sends it


def test_what_goes_wrong_inside_a_builder_is_not_its_signature():
    with pytest.raises(TypeError, match="3 of my own"):
        installed(failing).make(3)


def test_a_builder_without_a_signature_is_called_all_the_same():
    record = LoggerRecord(name="c", description="", builder="builtins:max")
    assert record.make(1, 2) == 2
