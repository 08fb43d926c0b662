"""Making the Kubernetes bundle: from the community's servers, or from source, part by part, each made once."""
