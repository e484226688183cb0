"""Operators of ONNX that networks for segmentation consist of, and no others.

Left out are loops and branches (they hold graphs and can run for ever), sequences, optional values and texts,
random numbers, and operators whose result is as large as a number in the file says (`Range`, `OneHot`,
`EyeLike`), which networks for images do not need.
"""

from __future__ import annotations

_CONVOLUTION = (
    "Conv ConvTranspose ConvInteger QLinearConv MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool"
)
_NORM = (
    "BatchNormalization InstanceNormalization GroupNormalization LayerNormalization LpNormalization "
    "MeanVarianceNormalization RMSNormalization LRN Dropout"
)
_ACTIVATION = (
    "Relu LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Sigmoid HardSigmoid HardSwish Softmax LogSoftmax "
    "Softplus Softsign Tanh Gelu Mish Swish Clip Erf Shrink"
)
_ARITHMETIC = (
    "Add Sub Mul Div Pow Neg Abs Sqrt Exp Log Reciprocal Floor Ceil Round Sign Min Max Mean Sum Mod Sin Cos "
    "MatMul Gemm MatMulInteger QLinearMatMul Einsum CumSum"
)
_LOGIC = "And Or Not Xor Equal Greater GreaterOrEqual Less LessOrEqual Where IsNaN IsInf"
_REDUCTION = (
    "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp "
    "ReduceSumSquare ArgMax ArgMin TopK"
)
_SHAPE = (
    "Shape Size Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice Gather GatherElements "
    "GatherND ScatterElements ScatterND Pad Expand Tile ConstantOfShape Constant Identity Cast CastLike "
    "DepthToSpace SpaceToDepth Resize Upsample GridSample AffineGrid CenterCropPad"
)
_QUANTISATION = "QuantizeLinear DequantizeLinear DynamicQuantizeLinear"
_ATTENTION = "Attention"

OPERATORS = frozenset(
    " ".join(
        (
            _CONVOLUTION,
            _NORM,
            _ACTIVATION,
            _ARITHMETIC,
            _LOGIC,
            _REDUCTION,
            _SHAPE,
            _QUANTISATION,
            _ATTENTION,
        )
    ).split()
)
"""Names of the operators that are run."""

WHOLE_IMAGE = frozenset(
    (
        "GlobalAveragePool GlobalMaxPool InstanceNormalization GroupNormalization LayerNormalization "
        f"LpNormalization MeanVarianceNormalization RMSNormalization {_REDUCTION} CumSum "
        f"MatMul MatMulInteger QLinearMatMul Gemm Einsum {_ATTENTION}"
    ).split()
)
"""Operators that may combine all pixels of an image; which axes they work on is not looked at."""
