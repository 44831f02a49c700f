"""What a review's user would have to be allowed, as a question to the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.wire.state import AccessQuestion

if TYPE_CHECKING:
    from app.wire.review import Review


def question(review: Review, verb: str) -> AccessQuestion:
    """Return whether the requesting user may use ``verb`` on what the review is about."""
    user, resource = review.user, review.resource
    return AccessQuestion(
        user.username,
        verb,
        resource.group,
        resource.resource,
        review.namespace,
        review.name,
        user.uid,
        user.groups,
        user.extra,
    )
