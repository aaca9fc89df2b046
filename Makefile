# Everything a person does here, one word each. Every target begins with a complete .venv.
.DEFAULT_GOAL := help
.PHONY: help setup demo evening test slow lint format lock
bin := .venv/bin

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Fill .venv with the locked packages (done by every target below).
	@./setup.sh

demo: setup ## Have a small city live here: nodes, kitchens, couriers, orders. ARGS="--minutes 5" ends it.
	@$(bin)/dispatch demo $(ARGS)

evening: setup ## Dispatch an evening of a generated city, faster than life, and end with its report.
	$(bin)/dispatch simulate --city evening --live --html var/report.html

test: setup ## Pass the tests. ARGS goes to pytest: make test ARGS="-k offer".
	$(bin)/python -m pytest $(ARGS)

slow: setup ## Pass the slow tests, with ten times the examples of a property.
	$(bin)/python -m pytest -m slow --hypothesis-profile=deep $(ARGS)

lint: setup ## Check style, format, types and the direction of imports.
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/pyright
	$(bin)/lint-imports

format: setup ## Put the code in its one format and mend what ruff can.
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

lock: ## Lock the packages of pyproject.toml anew (needs uv). ARGS=--upgrade takes newer ones.
	@command -v uv >/dev/null || { echo "lock: uv is missing: install it (pip install uv)." >&2; exit 1; }
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --quiet \
		$(ARGS) --output-file requirements-dev.txt
	uv pip compile pyproject.toml --constraint requirements-dev.txt --universal --generate-hashes \
		--no-header --quiet $(ARGS) --output-file requirements.txt
