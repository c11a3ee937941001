"""Studies on a cluster, seen from a laptop: submitted, watched and steered from afar, and what answers there."""
