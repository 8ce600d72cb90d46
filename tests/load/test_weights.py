"""Trained blobs for layers: by name, by the rules of Caffe for repeated names, and all that does not fit at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest

import caffe2tf
from caffe2tf.errors import NetworkError, ParseError, WeightsError
from caffe2tf.ir import Graph
from caffe2tf.load import WeightFiles, load_graph
from caffe2tf.load.survey import survey
from caffe2tf.parse import open_weights, read_network
from caffe2tf.proto import caffe_pb2
from tests.builders import input_layer, write_caffemodel, write_hdf5, write_prototxt

X = input_layer("x", (2, 3))


def dense(name: str, bottom: str, outputs: int, extra: str = "", param: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{bottom}{name}" {param} '
        f"inner_product_param {{ num_output: {outputs} {extra} }} }}\n"
    )


TWO = X + dense("a", "x", 4) + dense("b", "xa", 5)


@pytest.fixture
def of(rng: np.random.Generator) -> Mapping[str, npt.NDArray[np.float64]]:
    shapes = {"aw": (4, 3), "ab": (4,), "bw": (5, 4), "bb": (5,), "w": (3, 3), "v": (3, 3), "c": (3,), "d": (3,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def load(folder: Path, text: str, weights: WeightFiles | None, *, fill: bool = False) -> Graph:
    file = write_prototxt(folder, text)
    definition = read_network(file)
    if weights is None:
        return load_graph(definition, None, fill=fill)
    with open_weights(weights) as source:
        return load_graph(definition, source, fill=fill)


def arrays(graph: Graph) -> dict[str, list[npt.NDArray[np.float32]]]:
    return {n.name: [b.array for b in n.blobs] for n in graph.nodes if n.blobs}


def check(graph: Graph, expected: Mapping[str, Sequence[npt.ArrayLike]]) -> None:
    found = arrays(graph)
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        assert len(found[name]) == len(wanted), name
        for have, want in zip(found[name], wanted, strict=True):
            np.testing.assert_array_equal(have, np.asarray(want, np.float32), err_msg=name)


def refused(folder: Path, text: str, weights: WeightFiles | None, *, fill: bool = False) -> list[str]:
    with pytest.raises(WeightsError) as caught:
        load(folder, text, weights, fill=fill)
    place = re.compile(re.escape(str(folder / "net.prototxt")) + r":\d+:1: ")
    head, *lines = str(caught.value).split("\n")
    assert all(place.search(line) for line in lines)
    return [head, *(place.sub("", line) for line in lines)]


Arrays = Mapping[str, npt.NDArray[np.float64]]


@pytest.mark.parametrize("legacy", [False, True])
def test_by_name_in_any_order(tmp_path: Path, of: Arrays, legacy: bool) -> None:
    layers = [("b", [of["bw"], of["bb"]]), ("zoo", [of["c"]]), ("a", [of["aw"], of["ab"]]), ("empty", [])]
    graph = load(tmp_path, TWO, write_caffemodel(tmp_path, layers, legacy=legacy))
    check(graph, {"a": [of["aw"], of["ab"]], "b": [of["bw"], of["bb"]]})
    assert [n.message for n in graph.notes if "weight file" in n.message] == [
        "the weight file's layer 'zoo' is not in this network; it is ignored, as in Caffe"
    ]


def test_all_blobs_that_do_not_fit_are_listed_with_both_shapes(tmp_path: Path, of: Arrays) -> None:
    text = TWO + dense("c", "xab", 2) + dense("d", "xabc", 2) + dense("e", "xabcd", 2)
    weights = write_caffemodel(
        tmp_path,
        [
            ("a", [of["aw"].T, np.zeros(7)]),
            ("b", [of["bw"], of["bb"]]),
            ("c", [np.zeros((2, 5)), np.zeros(2), np.zeros((1, 2))]),
            ("d", [np.zeros((2, 2))]),
        ],
    )
    head, *lines = refused(tmp_path, text, weights)
    assert head == f"the weights ({weights}) do not fit the network."
    assert lines == [
        "  layer 'a': weight is 4x3 in the network, 3x4 in the file",
        "  layer 'a': bias is 4 in the network, 7 in the file",
        "  layer 'c': needs 2 blobs (weight 2x5, bias 2), but the file has 3 (2x5, 2, 1x2)",
        "  layer 'd': needs 2 blobs (weight 2x2, bias 2), but the file has 1 (2x2)",
        "  layer 'e': needs weight 2x2, bias 2, but the file has no blobs for it",
    ]


def test_weights_of_another_network(tmp_path: Path, of: Arrays) -> None:
    for layers in ([("conv1", [of["aw"]])], [("a", [of["bw"], of["bb"]]), ("conv1", [of["aw"]])]):
        head = refused(tmp_path, TWO, write_caffemodel(tmp_path, layers))[0]
        assert head.endswith("No layer matches. Are these the weights of another network?")


def test_a_survey_has_the_same_error(tmp_path: Path, of: Arrays) -> None:
    file = write_prototxt(tmp_path, TWO)
    weights = write_caffemodel(tmp_path, [("a", [of["aw"], of["c"]])])
    with open_weights(weights) as source:
        found = survey(read_network(file), source)
    assert found.exit_code == 2
    assert found.weights_error is not None
    with pytest.raises(WeightsError) as caught:
        load(tmp_path, TWO, weights)
    assert str(found.weights_error) == str(caught.value)


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((1, 1, 4, 3), True), ((1, 1, 3, 4), False), ((4, 3, 1, 1), False), ((1, 4, 1, 3), False)],
)
def test_old_shapes_have_ones_in_front(tmp_path: Path, of: Arrays, shape: tuple[int, ...], fits: bool) -> None:
    weights = write_caffemodel(tmp_path, [("a", [of["aw"].reshape(shape), of["ab"]])], legacy=True)
    if fits:
        check(load(tmp_path, X + dense("a", "x", 4), weights), {"a": [of["aw"], of["ab"]]})
    else:
        assert f"{'x'.join(map(str, shape))} in the file" in refused(tmp_path, X + dense("a", "x", 4), weights)[1]


def test_ones_in_front_of_a_modern_shape_are_not_ignored(tmp_path: Path, of: Arrays) -> None:
    weights = write_caffemodel(tmp_path, [("a", [of["aw"].reshape(1, 1, 4, 3), of["ab"]])])
    assert "4x3 in the network, 1x1x4x3 in the file" in refused(tmp_path, X + dense("a", "x", 4), weights)[1]


# --- repeated names ---


def test_the_last_of_two_layers_of_a_name_in_a_file_counts(tmp_path: Path, of: Arrays) -> None:
    layers = [("a", [of["aw"], of["ab"]]), ("a", [-of["aw"], of["ab"]]), ("a", [])]
    graph = load(tmp_path, X + dense("a", "x", 4), write_caffemodel(tmp_path, layers))
    check(graph, {"a": [-of["aw"], of["ab"]]})


@pytest.mark.parametrize("as_text", [False, True])
def test_the_last_of_several_files_counts(tmp_path: Path, of: Arrays, as_text: bool) -> None:
    """Blobs of the same layer in an earlier file do not matter, even if they do not fit."""
    files = [
        write_caffemodel(tmp_path, [("a", [of["bw"]]), ("b", [of["bw"], of["bb"]])], "1.caffemodel"),
        write_hdf5(tmp_path / "2.caffemodel.h5", {"a": {0: of["aw"], 1: of["ab"]}}),
        write_caffemodel(tmp_path, [("b", [2 * of["bw"], of["bb"]])], "3.caffemodel"),
    ]
    given: WeightFiles = ",".join(map(str, files)) if as_text else files
    check(load(tmp_path, TWO, given), {"a": [of["aw"], of["ab"]], "b": [2 * of["bw"], of["bb"]]})
    assert "has 1 (5x4)" in refused(tmp_path, TWO, list(reversed(files)))[1]


@pytest.mark.parametrize("form", ["caffemodel", "h5"])
def test_two_layers_of_a_name_in_the_network(tmp_path: Path, of: Arrays, form: str) -> None:
    """Blobs of a binary file go to the first layer of a name, those of an HDF5 file to the last."""
    text = X + dense("a", "x", 3) + dense("a", "xa", 3, 'weight_filler { type: "constant" } bias_filler { }')
    text = text.replace("num_output: 3  }", 'num_output: 3 weight_filler { type: "constant" } bias_filler { } }')
    if form == "h5":
        weights = write_hdf5(tmp_path / "n.h5", {"a": {0: of["w"], 1: of["c"]}})
    else:
        weights = write_caffemodel(tmp_path, [("a", [of["w"], of["c"]])])
    zeros = [np.zeros((3, 3)), np.zeros(3)]
    trained = [of["w"], of["c"]]
    pair = (zeros, trained) if form == "h5" else (trained, zeros)
    check(load(tmp_path, text, weights), {"a": pair[0], "a#2": pair[1]})


# --- HDF5 and shared parameters ---

W = 'param { name: "w" } param { name: "c" }'
SHARED = X + dense("a", "x", 3, "", W) + dense("b", "xa", 3, "", 'param { name: "w" } param { name: "d" }')


def test_blobs_that_the_file_omits_are_those_of_the_owner(tmp_path: Path, of: Arrays) -> None:
    weights = write_hdf5(tmp_path / "n.h5", {"a": {0: of["w"], 1: of["c"]}, "b": {1: of["d"]}})
    check(load(tmp_path, SHARED, weights), {"a": [of["w"], of["c"]], "b": [of["w"], of["d"]]})


def test_the_owner_may_be_absent_if_a_layer_that_shares_with_it_is_present(tmp_path: Path, of: Arrays) -> None:
    text = SHARED.replace('"d"', '"c"')
    check(load(tmp_path, text, write_hdf5(tmp_path / "n.h5", {"b": {0: of["w"], 1: of["c"]}})), {
        "a": [of["w"], of["c"]],
        "b": [of["w"], of["c"]],
    })  # fmt: skip
    check(load(tmp_path, text, write_caffemodel(tmp_path, [("b", [of["w"], of["c"]])])), {
        "a": [of["w"], of["c"]],
        "b": [of["w"], of["c"]],
    })  # fmt: skip


def test_a_blob_that_is_not_shared_may_not_be_omitted(tmp_path: Path, of: Arrays) -> None:
    text = X + dense("a", "x", 3) + dense("b", "xa", 3, "", 'param { name: "w" }')
    lines = refused(tmp_path, text, write_hdf5(tmp_path / "n.h5", {"a": {1: of["c"]}, "b": {0: of["v"]}}))
    assert lines[1:] == [
        "  layer 'a': needs 2 blobs (weight 3x3, bias 3), but the file has 1 (3)",
        "  layer 'b': needs 2 blobs (weight 3x3, bias 3), but the file has 1 (3x3)",
    ]


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_layers_that_share_a_blob_but_differ_follow_the_order_of_the_file(
    tmp_path: Path, of: Arrays, order: str
) -> None:
    """Caffe copies the layers in the order of the file into the same blob, so the last one stays."""
    layers = {"a": [of["w"], of["c"]], "b": [of["v"], of["d"]]}
    graph = load(tmp_path, SHARED, write_caffemodel(tmp_path, [(name, layers[name]) for name in order]))
    last = layers[order[-1]][0]
    check(graph, {"a": [last, of["c"]], "b": [last, of["d"]]})


def test_a_later_file_that_omits_a_blob_leaves_it_unchanged(tmp_path: Path, of: Arrays) -> None:
    first = write_caffemodel(tmp_path, [("a", [of["w"], of["c"]]), ("b", [of["v"], of["d"]])], "1.caffemodel")
    second = write_hdf5(tmp_path / "2.h5", {"b": {1: -of["d"]}})
    check(load(tmp_path, SHARED, [first, second]), {"a": [of["v"], of["c"]], "b": [of["v"], -of["d"]]})
    third = write_hdf5(tmp_path / "3.h5", {"a": {0: -of["w"], 1: of["c"]}, "b": {1: of["d"]}})
    check(load(tmp_path, SHARED, [first, third]), {"a": [-of["w"], of["c"]], "b": [-of["w"], of["d"]]})


# --- fillers ---

GIVEN = 'weight_filler { type: "constant" value: 2 } bias_filler { value: -1 }'


def test_blobs_that_no_file_holds(tmp_path: Path, of: Arrays) -> None:
    weights = write_caffemodel(tmp_path, [("a", [of["aw"], of["ab"]])])
    stated = X + dense("a", "x", 4) + dense("b", "xa", 5, GIVEN)
    check(load(tmp_path, stated, weights), {"a": [of["aw"], of["ab"]], "b": [np.full((5, 4), 2), np.full(5, -1)]})
    drawn = X + dense("a", "x", 4) + dense("b", "xa", 5, 'weight_filler { type: "xavier" } bias_filler { }')
    assert refused(tmp_path, drawn, weights)[1:] == [
        "  layer 'b': needs weight 5x4, bias 5, but the file has no blobs for it"
    ]


def test_a_shared_blob_is_filled_by_its_first_layer(tmp_path: Path) -> None:
    second = 'weight_filler { type: "gaussian" std: 3 } bias_filler { value: 7 }'
    text = X + dense("a", "x", 3, GIVEN, W) + dense("b", "xa", 3, second, W)
    check(load(tmp_path, text, None, fill=True), {name: [np.full((3, 3), 2), np.full(3, -1)] for name in "ab"})


FORK = 'weight_filler { type: "spiral" } bias_filler { type: "constant" }'


def test_a_filler_of_a_fork(tmp_path: Path, of: Arrays) -> None:
    text = X + dense("a", "x", 4, FORK)
    weights = write_caffemodel(tmp_path, [("a", [of["aw"], of["ab"]])])
    check(load(tmp_path, text, weights), {"a": [of["aw"], of["ab"]]})
    assert caffe2tf.infer_shapes(tmp_path / "net.prototxt") == {"x": (2, 3), "xa": (2, 4)}
    other = write_caffemodel(tmp_path, [("b", [of["aw"], of["ab"]])], "o.caffemodel")
    assert "needs weight 4x3, bias 4" in refused(tmp_path, text, other)[1]
    head, line = refused(tmp_path, text, None, fill=True)
    assert head == "the weights (no weight file) do not fit the network."
    assert "layer 'a': unknown filler type 'spiral'; Caffe has constant," in line


# --- other files ---


def test_a_solver_state_is_refused_with_the_name_of_its_weight_file(tmp_path: Path) -> None:
    state = tmp_path / "net_iter_5.solverstate"
    state.write_bytes(caffe_pb2.SolverState(iter=5, learned_net="snap/net_iter_5.caffemodel").SerializeToString())
    with pytest.raises(ParseError, match=r"solver state; pass the file that it names, 'snap/net_iter_5\.caff"):
        open_weights(state)
    with h5py.File(tmp_path / "net.solverstate.h5", "w") as file:
        file["iter"] = 5
        file["learned_net"] = "net_iter_5.caffemodel.h5"
    with pytest.raises(ParseError, match=r"solver state.*'net_iter_5\.caffemodel\.h5'"):
        open_weights(tmp_path / "net.solverstate.h5")
    with pytest.raises(ParseError, match="solver state"):
        read_network(state)


def test_parameters_that_cannot_be_shared_are_reported_before_the_weights(tmp_path: Path, of: Arrays) -> None:
    text = X + dense("a", "x", 4, "", 'param { name: "w" }') + dense("b", "xa", 3, "", 'param { name: "w" }')
    weights = write_caffemodel(tmp_path, [("a", [of["aw"], of["ab"]])])
    with pytest.raises(NetworkError) as caught:
        load(tmp_path, text, weights)
    (problem,) = caught.value.problems
    assert (problem.layer, problem.where and problem.where.line) == ("b", 3)
    assert "'w' is shared with layer 'a', but is 3x4 here and 4x3 there (STRICT" in problem.message
