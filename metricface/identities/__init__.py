"""Who matches whom: the only place where labels and sample ids are compared."""

from metricface.identities.match_block import MatchBlock
from metricface.identities.matches import Matches, places

__all__ = ["MatchBlock", "Matches", "places"]
