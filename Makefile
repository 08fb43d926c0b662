# The two commands: `make rehearse` does the main job on a simulated lab, `make test` checks everything.
# Both do their whole set-up themselves, once; Python 3.11 or newer is all that must be there.

BIN := .venv/bin
# Further arguments of `homelab rehearse`, as in: make rehearse ARGS="--guests none"
ARGS ?=

.PHONY: rehearse test test-all e2e-kubernetes e2e-kubernetes-more bundle bench bench-quick bench-usb bench-failover soak lint lock packages collection execution-environment docs reference sbom

rehearse: .venv/run.stamp
	@$(BIN)/homelab rehearse $(ARGS)

# The Kubernetes that guests without a way out are installed from; once, for minutes. From source: ARGS="--from source"
bundle: .venv/run.stamp
	@$(BIN)/homelab kubernetes bundle $(ARGS)

test: .venv/dev.stamp
	@scripts/check lint quick guests

# Beyond `test`: the checks against what others made, and the quick tests on every other Python that is installed.
test-all: .venv/dev.stamp .venv/docs.stamp .venv/release.stamp
	@scripts/packages thorough
	@scripts/check lint quick guests thorough pythons

# A real Kubernetes on real guests, from bare hosts on; needs a bundle (make bundle).
e2e-kubernetes: .venv/dev.stamp
	@scripts/check kubernetes

# Further stories of it: everything lost and restored, and pods' networks that are not ours.
e2e-kubernetes-more: .venv/dev.stamp
	@scripts/check kubernetes-more

# What commands cost a person who waits, beside a floor; two minutes.
bench-quick: .venv/dev.stamp
	@$(BIN)/python -m tests.bench.commands $(ARGS)

# That at length, sticks, and every fault once for every way of balancing; three quarters of an hour.
bench: .venv/dev.stamp
	@$(BIN)/python -m tests.bench.commands --rounds 10
	@$(BIN)/python -m tests.helpers.bench_usb
	@$(BIN)/python -m tests.bench.failover --runs 1

# Rounds of bad days on a simulated lab, for an hour, or as long as one likes: make soak ARGS="--minutes 600 --seed 7"
soak: .venv/dev.stamp
	@$(BIN)/python -m tests.bench.soak $(ARGS)

# How fast a stick's image is built and written, beside cp and dd of the same bytes.
bench-usb: .venv/dev.stamp
	@$(BIN)/python -m tests.helpers.bench_usb

# What each way of balancing the API loses when something fails, side by side, in hours; on a machine that does nothing
# else. In short: make bench-failover ARGS="--runs 1 --faults kill,hang"
bench-failover: .venv/dev.stamp
	@$(BIN)/python -m tests.bench.failover $(ARGS)

# The collection homelab.lab with all roles, as an archive for ansible-galaxy.
collection: .venv/dev.stamp
	@PATH=$(CURDIR)/$(BIN):$$PATH scripts/collection dist

# The build context of the image that AWX and other engines run the playbooks in; docs/how-to/awx.md
execution-environment: .venv/dev.stamp
	@PATH=$(CURDIR)/$(BIN):$$PATH scripts/execution-environment build/execution-environment

lint: .venv/dev.stamp
	@scripts/check lint

# The documentation as a site, build/site/index.html: every link in it is checked, and it is read without a network.
docs: .venv/docs.stamp
	@scripts/docs

# Every part that an installation has, with its licence, as CycloneDX: build/homelab.cdx.json
sbom: .venv/dev.stamp .venv/release.stamp
	@scripts/sbom

# The reference pages that are made from the code, and the record of what is promised (docs/reference/stability.md).
reference: .venv/dev.stamp
	@$(BIN)/python -m tools.reference

# Resolves the dependencies anew; docs/decisions/0002-lock-files.md
lock:
	@scripts/lock

packages:
	@scripts/packages

.venv/run.stamp: requirements.lock pyproject.toml scripts/setup | packages
	@scripts/setup .venv requirements.lock
	@touch $@

.venv/dev.stamp: requirements.lock requirements-dev.lock pyproject.toml scripts/setup | packages
	@scripts/setup .venv requirements.lock requirements-dev.lock
	@touch .venv/run.stamp $@

.venv/docs.stamp .venv/release.stamp: .venv/%.stamp: requirements-%.lock scripts/apart | packages
	@scripts/apart .venv/$* requirements-$*.lock
	@touch $@
