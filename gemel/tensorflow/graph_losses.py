"""`tf.losses` of TensorFlow 1: weighted losses that the graph collects.

In: labels, predictions or logits, weights. Out: the reduced loss, also put in a collection.
"""

from __future__ import annotations

from . import context, math, nn
from .array import one_hot as one_hot
from .array import ones_like, squeeze, zeros_like
from .convert import convert_to_tensor
from .graph_keys import GraphKeys


class Reduction:
    """How the losses of the samples become one."""

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_OVER_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_BY_NONZERO_WEIGHTS = SUM_OVER_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple:
        return cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, cls.SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def validate(cls, key) -> None:
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key: {key}. Key should be in {cls.all()}.")


BY_NONZERO = Reduction.SUM_BY_NONZERO_WEIGHTS


def compute_weighted_loss(
    losses, weights=1.0, scope=None, loss_collection=GraphKeys.LOSSES, reduction=BY_NONZERO
):
    """The losses times the weights, reduced and collected."""
    Reduction.validate(reduction)
    losses = convert_to_tensor(losses)
    weights = math.cast(convert_to_tensor(weights, dtype_hint=losses.dtype), losses.dtype)
    weighted = math.multiply(losses, weights)
    loss = _reduced(weighted, losses, weights, reduction)
    if loss_collection is not None and context.building() is not None:
        context.building().add_to_collection(loss_collection, loss)
    return loss


def _reduced(weighted, losses, weights, reduction: str):
    if reduction == Reduction.NONE:
        return weighted
    total = math.reduce_sum(weighted)
    if reduction == Reduction.SUM:
        return total
    spread = math.multiply(ones_like(losses), weights)
    if reduction == Reduction.MEAN:
        return math.divide_no_nan(total, math.reduce_sum(spread))
    if reduction == Reduction.SUM_OVER_BATCH_SIZE:
        return math.divide_no_nan(total, math.reduce_sum(ones_like(losses)))
    present = math.cast(math.not_equal(spread, zeros_like(spread)), losses.dtype)
    return math.divide_no_nan(total, math.reduce_sum(present), name="value")


def _pair(labels, predictions):
    if labels is None or predictions is None:
        raise ValueError("labels and predictions must not be None")
    predictions = convert_to_tensor(predictions)
    labels = convert_to_tensor(labels, dtype_hint=predictions.dtype)
    labels = math.cast(labels, predictions.dtype)
    if not labels.shape.is_compatible_with(predictions.shape):
        raise ValueError(f"Shapes {predictions.shape} and {labels.shape} are incompatible")
    return labels, predictions


def mean_squared_error(
    labels, predictions, weights=1.0, scope=None, loss_collection=GraphKeys.LOSSES,
    reduction=BY_NONZERO,
):
    """The mean of (labels - predictions)^2."""
    labels, predictions = _pair(labels, predictions)
    each = math.squared_difference(predictions, labels)
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def absolute_difference(
    labels, predictions, weights=1.0, scope=None, loss_collection=GraphKeys.LOSSES,
    reduction=BY_NONZERO,
):
    """The mean of |labels - predictions|."""
    labels, predictions = _pair(labels, predictions)
    each = math.abs(math.subtract(predictions, labels))
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def huber_loss(
    labels, predictions, weights=1.0, delta=1.0, scope=None, loss_collection=GraphKeys.LOSSES,
    reduction=BY_NONZERO,
):
    """Quadratic up to delta, linear beyond."""
    labels, predictions = _pair(labels, predictions)
    error = math.abs(math.subtract(predictions, labels))
    near = math.minimum(error, delta)
    each = 0.5 * near * near + delta * (error - near)
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def hinge_loss(
    labels, logits, weights=1.0, scope=None, loss_collection=GraphKeys.LOSSES, reduction=BY_NONZERO
):
    """max(0, 1 - y x) with y = 2 labels - 1."""
    labels, logits = _pair(labels, logits)
    each = nn.relu(1.0 - (2.0 * labels - 1.0) * logits)
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def log_loss(
    labels, predictions, weights=1.0, epsilon=1e-7, scope=None,
    loss_collection=GraphKeys.LOSSES, reduction=BY_NONZERO,
):
    """The cross entropy of truth values with probabilities."""
    labels, predictions = _pair(labels, predictions)
    each = -labels * math.log(predictions + epsilon)
    each = each - (1.0 - labels) * math.log(1.0 - predictions + epsilon)
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def sigmoid_cross_entropy(
    multi_class_labels, logits, weights=1.0, label_smoothing=0, scope=None,
    loss_collection=GraphKeys.LOSSES, reduction=BY_NONZERO,
):
    """The cross entropy of each truth value with sigmoid(logits)."""
    labels, logits = _pair(multi_class_labels, logits)
    if label_smoothing:
        labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
    each = nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def softmax_cross_entropy(
    onehot_labels, logits, weights=1.0, label_smoothing=0, scope=None,
    loss_collection=GraphKeys.LOSSES, reduction=BY_NONZERO,
):
    """The cross entropy of each row of labels with softmax(logits)."""
    labels, logits = _pair(onehot_labels, logits)
    if label_smoothing:
        classes = logits.shape[-1]
        labels = labels * (1 - label_smoothing) + label_smoothing / classes
    each = nn.softmax_cross_entropy_without_label_gradient(labels=labels, logits=logits)
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def sparse_softmax_cross_entropy(
    labels, logits, weights=1.0, scope=None, loss_collection=GraphKeys.LOSSES, reduction=BY_NONZERO
):
    """The cross entropy of each label (a class) with softmax(logits)."""
    labels, logits = convert_to_tensor(labels), convert_to_tensor(logits)
    if labels.shape.rank is not None and labels.shape.rank == logits.shape.rank:
        labels = squeeze(labels, [-1])
    each = nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def cosine_distance(
    labels, predictions, axis=None, weights=1.0, scope=None, loss_collection=GraphKeys.LOSSES,
    reduction=BY_NONZERO, dim=None,
):
    """1 - the sum of products along the axis; both are taken as unit vectors."""
    labels, predictions = _pair(labels, predictions)
    axis = dim if axis is None else axis
    each = 1.0 - math.reduce_sum(labels * predictions, axis, True)
    return compute_weighted_loss(each, weights, scope, loss_collection, reduction)


def add_loss(loss, loss_collection=GraphKeys.LOSSES) -> None:
    """Put a loss of one's own in the collection."""
    if loss_collection is not None and context.building() is not None:
        context.building().add_to_collection(loss_collection, loss)


def get_losses(scope=None, loss_collection=GraphKeys.LOSSES) -> list:
    return context.get_default_graph().get_collection(loss_collection, scope)


def get_regularization_losses(scope=None) -> list:
    return context.get_default_graph().get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


def get_regularization_loss(scope=None, name="total_regularization_loss"):
    found = get_regularization_losses(scope)
    return math.add_n(found, name=name) if found else convert_to_tensor(0.0)


def get_total_loss(add_regularization_losses=True, name="total_loss", scope=None):
    """The sum of all collected losses."""
    found = get_losses(scope)
    if add_regularization_losses:
        found = found + get_regularization_losses(scope)
    return math.add_n(found, name=name)


def __getattr__(name: str):
    from ._missing import missing

    raise missing("losses", name)
