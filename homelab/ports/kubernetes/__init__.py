"""The cluster's API as its administrator sees it, and the making of a bundle, part by part, each made once."""
