"""The forms in which ``param_str`` of Python layers is written."""

from __future__ import annotations

import pytest

from caffe2tf.errors import LayerError
from caffe2tf.layers.param_str import read_param_str


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("  \n ", {}),
        ("'feat_stride': 16", {"feat_stride": 16}),
        ("{'num': 2, 'names': ['a', 'b'], 'in': {'x': -1.5}}", {"num": 2, "names": ["a", "b"], "in": {"x": -1.5}}),
        ("'stride': 16 \n'scales': !!python/tuple [4, 8]", {"stride": 16, "scales": [4, 8]}),
        ('{"on": true, "off": false, "none": null}', {"on": True, "off": False, "none": None}),
        ("'a': 1, 'b': (2, 3)", {"a": 1, "b": (2, 3)}),
        ("feat_stride: 16\nscales: [8, 16, 32]\n", {"feat_stride": 16, "scales": [8, 16, 32]}),
        ("'feat_stride': 16\n'scales': [4,8]", {"feat_stride": 16, "scales": [4, 8]}),
        ("size: 3 # of the crop\nname: '#1'\n# a comment\nrate: 1e-3", {"size": 3, "name": "#1", "rate": 1e-3}),
        ("a:\n  b: -2\n  c:\n  - x\n  - 2.5\nd: yes", {"a": {"b": -2, "c": ["x", 2.5]}, "d": True}),
        ("mean: [104.0, abc, ]", {"mean": [104.0, "abc", None]}),
        ("path: http://x/y z", {"path": "http://x/y z"}),
        ("- a\n- b", None),
        ("some words", None),
        ("a: 1\n    b: 2", None),
        ("16", None),
    ],
)  # fmt: skip
def test_settings(text: str, settings: dict[str, object] | None) -> None:
    if settings is None:
        with pytest.raises(LayerError, match="param_str is neither a dict nor `key: value` lines"):
            read_param_str(text)
    else:
        assert read_param_str(text) == settings


def test_nothing_is_executed() -> None:
    assert read_param_str("a: __import__('os').getcwd()") == {"a": "__import__('os').getcwd()"}
