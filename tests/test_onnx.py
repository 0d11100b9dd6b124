"""Models of ONNX: node cases of its own tests, whole models, gradients, errors."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import gemel.onnx  # noqa: E402
import gemel.torch as torch  # noqa: E402
from gemel.onnx.backend import GemelBackend  # noqa: E402

# a few of each group; `python -m tools.conformance onnx` runs all
CASES = """
abs add_bcast and_bcast4v4d argmax_keepdims_example_select_last_index averagepool_2d_ceil
averagepool_2d_precomputed_pads_count_include_pad batchnorm_example_training_mode
bitshift_left_uint16 cast_FLOAT_to_BFLOAT16 cast_BFLOAT16_to_FLOAT center_crop_pad_crop_and_pad
clip_default_inbounds col2im_dilations compress_0 concat_3d_axis_negative_2
constantofshape_int_shape_zero conv_with_autopad_same convtranspose_output_shape
convtranspose_group_2 cumsum_1d_reverse_exclusive deform_conv_with_mask_bias
depthtospace_crd_mode_example dequantizelinear_blocked det_nd dft dropout_default_mask
einsum_batch_matmul expand_dim_changed gather_negative_indices gathernd_example_int32_batch_dim1
gelu_tanh_1 gemm_all_attributes gridsample_bicubic group_normalization_epsilon gru_batchwise
hardmax_axis_2 if instancenorm_example layer_normalization_4d_axis2 logsoftmax_large_number loop11
lppool_2d_strides lrn lstm_with_peepholes matmulinteger maxunpool_export_with_output_shape
maxpool_with_argmax_2d_precomputed_strides mod_mixed_sign_int8 mvn nonmaxsuppression_two_classes
nonzero_example pow_types_int64_float32 qlinearconv qlinearmatmul_2D_int8_float16
quantizelinear_blocked_asymmetric range_float_type_positive_delta reduce_log_sum_exp_empty_set
reflect_pad resize_downsample_scales_cubic_antialias resize_tf_crop_and_resize
resize_upsample_scales_linear_align_corners reversesequence_batch rnn_seq_length
roialign_aligned_true rotary_embedding_interleaved scan9_sum scatter_elements_with_reduction_max
scatternd_multiply shape_start_1_end_negative_1 slice_neg_steps softmax_axis_0
split_variable_parts_2d_opset18 stft_with_window tfidfvectorizer_tf_batch_uniandbigrams_skip5 tile
top_k_smallest unique_sorted_with_negative_axis where_long_example xor_bcast4v3d
attention_4d_with_past_and_present_expanded adam_multiple ai_onnx_ml_tree_ensemble_set_membership
onehot_negative_indices triu_one_row
""".split()


@pytest.fixture(scope="module")
def cases():
    import warnings

    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in collect_testcases(None)}


def array(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


@pytest.mark.parametrize("name", CASES)
def test_node_cases(name, cases):
    from onnx.backend.test.runner import Runner

    case = cases[f"test_{name}"]
    prepared = GemelBackend.prepare(case.model)
    for inputs, wanted in case.data_sets:
        expected = [array(x) for x in wanted]
        Runner.assert_similar_outputs(expected, prepared.run(inputs), case.rtol, case.atol)


# ---------- models ----------
def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, outputs, weights=(), **named):
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], **named)


def network():
    """Convolution, pooling, a shape computed from the input's, a product."""
    rng = np.random.default_rng(0)
    weights = {
        "k": rng.standard_normal((4, 1, 3, 3)).astype(np.float32),
        "w": rng.standard_normal((4 * 9, 5)).astype(np.float32),
        "zero": np.array([0], np.int64),
        "rest": np.array([-1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["c", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    initial = [numpy_helper.from_array(v, k) for k, v in weights.items()]
    shapes = [value("x", ["n", 1, 8, 8])], [value("y", ["n", 5])]
    return model(nodes, *shapes, initial), weights


def expected(x, weights):
    k, w = (torch.from_numpy(weights[n].copy()) for n in ("k", "w"))
    y = torch.nn.functional.max_pool2d(torch.nn.functional.conv2d(x, k).relu(), 2)
    return y.flatten(1) @ w


def test_a_network_and_its_gradient():
    proto, weights = network()
    loaded = gemel.onnx.load(proto)
    assert loaded.inputs == ["x"] and loaded.outputs == ["y"]
    x = torch.randn(3, 1, 8, 8, requires_grad=True)
    y = loaded(x)
    assert isinstance(y, torch.Tensor)
    z = expected(x, weights)
    assert torch.allclose(y, z, atol=1e-4)
    (found,) = torch.autograd.grad(y.square().sum(), x)
    (wanted,) = torch.autograd.grad(z.square().sum(), x)
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_arrays_give_arrays(tmp_path):
    proto, weights = network()
    onnx.save(proto, tmp_path / "m.onnx")
    x = np.ones((2, 1, 8, 8), np.float32)
    for source in (tmp_path / "m.onnx", str(tmp_path / "m.onnx"), proto.SerializeToString()):
        y = gemel.onnx.load(source)(x=x)
        assert isinstance(y, np.ndarray)
        assert np.allclose(y, expected(torch.from_numpy(x), weights).numpy(), atol=1e-4)


def test_functions_of_a_model():
    body = [helper.make_node("Mul", ["a", "a"], ["b"]), helper.make_node("Neg", ["b"], ["c"])]
    opset = [helper.make_opsetid("", 20)]
    function = helper.make_function("own", "MinusSquare", ["a"], ["c"], body, opset)
    node = helper.make_node("MinusSquare", ["x"], ["y"], domain="own")
    graph = helper.make_graph([node], "g", [value("x", [2])], [value("y", [2])])
    imports = [*opset, helper.make_opsetid("own", 1)]
    proto = helper.make_model(graph, opset_imports=imports, functions=[function])
    assert gemel.onnx.load(proto)(np.array([2.0, 3.0], np.float32)).tolist() == [-4, -9]


def test_what_is_wrong_is_said():
    node = helper.make_node("ImageDecoder", ["x"], ["y"])
    shapes = [value("x", [2], TensorProto.UINT8)], [value("y", [2], TensorProto.UINT8)]
    with pytest.raises(NotImplementedError, match="ImageDecoder"):
        gemel.onnx.load(model([node], *shapes))
    loaded = gemel.onnx.load(network()[0])
    with pytest.raises(TypeError, match="missing"):
        loaded()
    with pytest.raises(TypeError, match="unknown"):
        loaded(np.zeros((1, 1, 8, 8), np.float32), z=1)
    with pytest.raises(TypeError, match="1 inputs"):
        loaded(1, 2)


def test_supported_operators_are_named():
    names = gemel.onnx.supported()
    assert len(names) >= 180
    assert {"Conv", "LSTM", "ai.onnx.ml.TreeEnsemble"} <= set(names)
