"""The parser of the text format, compared with protobuf's own and tested on the forms that occur in real files."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe2tf.diagnostics import Position
from caffe2tf.errors import ParseError
from caffe2tf.parse.descriptors import is_repeated
from caffe2tf.parse.prototxt import Parsed, parse_into
from caffe2tf.parse.text_file import TextFile
from caffe2tf.parse.write import format_prototxt
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message


def parse(text: str | bytes, message: Message) -> Parsed:
    return parse_into(message, TextFile(text.encode() if isinstance(text, str) else text, "a.prototxt"))


def layer(text: str | bytes) -> caffe_pb2.LayerParameter:
    message = caffe_pb2.LayerParameter()
    assert parse(text, message).unknown == ()
    return message


def refusal(text: str | bytes) -> str:
    with pytest.raises(ParseError) as caught:
        parse(text, caffe_pb2.LayerParameter())
    return str(caught.value)


# --- texts that protobuf reads, too ---

ACCEPTED = [
    'name: "a" type: "B"',
    "name:'a'type:'B'",
    'name: "a", type: "B"; bottom: "x";',
    'name: "a" "b"\n # between\n \'c\'',
    r'name: "\"\\\n\t\101\x41\303\251\u00e9\'"',
    'bottom: "x" bottom: ["y", "z"] bottom: []',
    "lrn_param { alpha: -1e-3 beta: .5 k: 2. }",
    "lrn_param < alpha: 1e5f beta: 2f k: inf >",
    "lrn_param: { alpha: -inf beta: -infinity k: InF }",
    "lrn_param { local_size: 0x1F norm_region: WITHIN_CHANNEL }",
    "lrn_param { local_size: 017 norm_region: 1 }",
    "convolution_param { pad: [1, 2] pad: 0 stride: +3 axis: -1 }",
    "param: [{ lr_mult: 1 }, < lr_mult: 2 >] param {}",
    "propagate_down: [true, false, t, f, 1, 0, True, False]",
    "relu_param {} phase: TEST",
    "# only a comment",
    "",
    "name: 'a'# comment\r\ntype: 'B'\r\n",
    "lrn_param { alpha: 3.4028235e38 beta: 1e39 k: 1e-46 local_size: 4294967295 }",
    "name: 'h\u00e9\u4e2d' # \u4e2d",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_reads_what_protobuf_reads(text: str) -> None:
    expected = text_format.Parse(text, caffe_pb2.LayerParameter())
    assert layer(text) == expected


def test_reads_a_capital_suffix() -> None:
    """protobuf reads it since 6.30."""
    assert layer("lrn_param { beta: 2F }").lrn_param.beta == 2


def test_reads_not_a_number() -> None:
    assert math.isnan(layer("lrn_param { alpha: nan beta: -nan }").lrn_param.alpha)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"\xef\xbb\xbfname: 'bom'", "bom"),
        (b"# gr\xfc\xdfe in Latin-1\nname: 'x'", "x"),
        (b"name: 'caf\xe9'", "caf\u00e9"),
        (b"name: 'caf\\351'", "caf\u00e9"),
        (b"name: 'C:\\data\\q'", "C:\\data\\q"),
        (b"name # why not here\n : # or here\n 'x'", "x"),
    ],
)
def test_reads_forms_that_occur_in_real_files(text: bytes, name: str) -> None:
    assert layer(text).name == name


def test_reads_a_sign_with_a_space_before_its_number() -> None:
    assert layer("lrn_param { alpha: - 1.5 }").lrn_param.alpha == -1.5


# --- errors ---

REFUSED = [
    ("name: a", "1:7", "quotes"),
    ("name: 3", "1:7", "quotes"),
    ("name: 'a'\nname: 'b'", "2:7", "twice"),
    ("relu_param {}\n  relu_param {}", "2:14", "twice"),
    ("name 'a'", "1:6", "`:`"),
    ("name:", "1:6", "ends"),
    ("name: 'a\nb'", "1:7", "add the closing quote"),
    ("name: '\\ud800'", "1:7", "escape"),
    ("relu_param", "1:11", "ends"),
    ("relu_param: 3", "1:13", "block"),
    ("relu_param {", "1:12", "never closed"),
    ("relu_param { >", "1:14", "'}'"),
    ("name: 'a' }", "1:11", "closes no block"),
    ("name { }", "1:6", "plain value"),
    ("name: ['a']", "1:7", "list"),
    ("bottom: ['a' 'b' 3", "1:18", "']'"),
    ("bottom: ['a',]", "1:14", "value"),
    ("convolution_param { num_output: 3.0 }", "1:33", "not an integer"),
    ("convolution_param { num_output: -1 }", "1:33", "outside"),
    ("convolution_param { num_output: 4294967296 }", "1:33", "outside"),
    ("convolution_param { num_output: 1_000 }", "1:33", "not an integer"),
    ("convolution_param { num_output: 08 }", "1:33", "not an integer"),
    ("convolution_param { axis: 99999999999999999999999999999999 }", "1:27", "outside"),
    ("convolution_param { bias_term: TRUE }", "1:32", "true nor false"),
    ("lrn_param { alpha: 0x10 }", "1:20", "not a number"),
    ("lrn_param { alpha: 1e }", "1:20", "not a number"),
    ("lrn_param { alpha: '1' }", "1:20", "not a number"),
    ("phase: 'TEST'", "1:8", "bare word"),
    ("phase: 1.5", "1:8", "bare word"),
    ("\x00", "1:1", "name of a field"),
    ("\n\n  = 3", "3:3", "name of a field"),
    ("unknown_thing", "1:14", "ends"),
    ("unknown_thing 3", "1:15", "`:`"),
    ("unknown_thing { a: 1", "1:15", "never closed"),
    ("unknown_thing { a: [1, 2 }", "1:26", "']'"),
    ("unknown_thing { 3 }", "1:17", "name of a field"),
]


@pytest.mark.parametrize(("text", "place", "part"), REFUSED)
def test_refuses_with_line_and_column(text: str, place: str, part: str) -> None:
    message = refusal(text)
    assert message.startswith(f"a.prototxt:{place}: ")
    assert part in message


def test_the_message_about_a_quoted_type_in_an_old_layer_says_how_to_mend_it() -> None:
    with pytest.raises(ParseError, match=r"1:16: .*belong in `layer`, not in `layers`"):
        parse("layers { type: 'Softmax' }", caffe_pb2.NetParameter())


@pytest.mark.parametrize("text", ["a {" * 5000, "a: [" * 5000, "a {" * 5000 + "}" * 5000, "relu_param {" * 5000])
def test_deep_nesting_is_refused(text: str) -> None:
    refusal(text)


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="{}<>[]:;,#'\"\\ \nnametypx-+.0123456789ef", max_size=60)))
def test_random_input_gives_a_parse_error_or_a_message(data: bytes | str) -> None:
    try:
        parsed = parse(data, caffe_pb2.NetParameter())
    except ParseError as error:
        str(error).encode()
    else:
        assert all(field.where.line for field in parsed.unknown)


# --- unknown fields ---


def test_unknown_fields_are_kept_with_place_and_value() -> None:
    text = """name: "x"
foo: 3
convolution_param { bar: "a" 'b' num_output: 7 }
param { lr_mult: 2 }
param { baz: [-1, TWO] }
deep { a: 1, b < c: 'q;' > b { } l: [{ m: 1 }, { m: 2 }] }
[some.extension]: 5
"""
    message = caffe_pb2.LayerParameter()
    unknown = parse(text, message).unknown
    assert [(x.path, x.value, x.where.line, x.where.column) for x in unknown] == [
        ("foo", 3, 2, 1),
        ("convolution_param.bar", "ab", 3, 21),
        ("param[1].baz", -1, 5, 9),
        ("param[1].baz", "TWO", 5, 9),
        (
            "deep",
            (("a", 1), ("b", (("c", "q;"),)), ("b", ()), ("l", (("m", 1),)), ("l", (("m", 2),))),
            6,
            1,
        ),
        ("[some.extension]", 5, 7, 1),
    ]
    assert message.convolution_param.num_output == 7
    assert [spec.lr_mult for spec in message.param] == [2, 1]
    assert unknown[4].text == (
        "deep {\n  a: 1\n  b {\n    c: 'q;'\n  }\n  b {\n  }\n  l {\n    m: 1\n  }\n  l {\n    m: 2\n  }\n}"
    )


@pytest.mark.parametrize("value", ["MEDIAN", "7", "0x7"])
def test_unknown_enum_values_are_kept_and_the_field_is_unset(value: str) -> None:
    message = caffe_pb2.LayerParameter()
    (unknown,) = parse(f"pooling_param {{\n pool: {value} kernel_size: 5 }}", message).unknown
    assert (unknown.path, unknown.value, unknown.where) == ("pooling_param.pool", value, Position("a.prototxt", 2, 8))
    assert not message.pooling_param.HasField("pool")
    assert message.pooling_param.kernel_size == 5


def test_places_of_the_outermost_fields() -> None:
    text = "input: 'a'\n  layer { name: 'x' }\nlayer: [{ }, { name: 'y' }]\nnone { }"
    parsed = parse(text, caffe_pb2.NetParameter())
    assert [(name, where.line, where.column) for name, where in parsed.fields] == [
        ("input", 1, 1),
        ("layer", 2, 3),
        ("layer", 3, 9),
        ("layer", 3, 14),
    ]


# --- round trips of random messages ---

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
}


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    descriptor = field.message_type
    if descriptor is not None:
        return st.deferred(lambda: _contents(descriptor))
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.cpp_type in _INTEGERS:
        return _INTEGERS[field.cpp_type]
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return st.binary(max_size=8) if field.type == FieldDescriptor.TYPE_BYTES else st.text(max_size=8)
    return st.floats(width=32 if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT else 64, allow_nan=False)


@st.composite
def _contents(draw: st.DrawFn, descriptor: Any) -> dict[str, Any]:  # noqa: ANN401 - the stubs know two kinds
    chosen = draw(st.lists(st.sampled_from(list(descriptor.fields)), max_size=4, unique_by=lambda field: field.name))
    return {
        field.name: draw(st.lists(_values(field), max_size=3) if is_repeated(field) else _values(field))
        for field in chosen
    }


def _networks() -> st.SearchStrategy[caffe_pb2.NetParameter]:
    return _contents(caffe_pb2.NetParameter.DESCRIPTOR).map(lambda content: caffe_pb2.NetParameter(**content))


@settings(max_examples=150)
@given(_networks(), st.booleans(), st.booleans(), st.booleans())
def test_reads_what_protobuf_writes(
    message: caffe_pb2.NetParameter, one_line: bool, short: bool, pointed: bool
) -> None:
    text = text_format.MessageToString(
        message, as_one_line=one_line, use_short_repeated_primitives=short, pointy_brackets=pointed
    )
    again = caffe_pb2.NetParameter()
    assert parse(text, again).unknown == ()
    assert again == message


@settings(max_examples=150)
@given(_networks())
def test_protobuf_and_we_read_what_we_write(message: caffe_pb2.NetParameter) -> None:
    text = format_prototxt(message)
    assert text_format.Parse(text, caffe_pb2.NetParameter()) == message
    again = caffe_pb2.NetParameter()
    parse(text, again)
    assert again == message


# --- real files ---


def test_reads_real_definitions_as_protobuf_does(definitions: list[Path]) -> None:
    compared = 0
    for path in definitions:
        data = path.read_bytes()
        try:
            expected = text_format.Parse(data.decode(), caffe_pb2.NetParameter(), allow_unknown_field=True)
        except text_format.ParseError:
            continue
        message = caffe_pb2.NetParameter()
        parse(data, message)
        assert message == expected, path
        compared += 1
    assert compared > 100


def test_time_is_linear_in_the_size() -> None:
    block = 'layer { name: "x" type: "Convolution" convolution_param { num_output: 3 pad: 1 foo: 2 } } # c\n'
    spaces = " " * 500_000
    start = time.perf_counter()
    for text in (block * 5000, "#" * 500_000, "a: " + "'b' " * 100_000, f"a {{ {spaces} }}"):
        parse(text, caffe_pb2.NetParameter())
    for text in (f"{spaces}!", f"name{spaces}!", f"name:{spaces}!", "name: '" + "\\" * 500_000):
        with pytest.raises(ParseError):
            parse(text, caffe_pb2.NetParameter())
    assert time.perf_counter() - start < 20
