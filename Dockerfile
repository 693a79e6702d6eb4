# JupyterLab on the notebooks, http://localhost:8888 with the token that it prints:
#   docker build -t rock_nb .
#   docker run --rm -p 8888:8888 --shm-size 2g -v "$PWD/data:/home/rocks/rock_nb/data" -v "$PWD/outputs:/home/rocks/rock_nb/outputs" rock_nb
# On a GPU: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126, and docker run --gpus all …
# Anything else: docker run … rock_nb python -m rock_nb.pipeline --versions quick
# The page for photographs: docker run --rm -p 7860:7860 -v … rock_nb python -m rock_nb.serve --host 0.0.0.0
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG USER_ID=1000

# in a container for development `make test` needs them
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid "$USER_ID" rocks
USER rocks
WORKDIR /home/rocks/rock_nb
ENV PATH=/home/rocks/venv/bin:$PATH VENV=/home/rocks/venv PYTHONUNBUFFERED=1

COPY --chown=rocks settings.ini setup.py pyproject.toml requirements.lock README.md LICENSE ./
COPY --chown=rocks rock_nb rock_nb
RUN python -m venv /home/rocks/venv \
    && pip install --no-cache-dir -q --extra-index-url "$TORCH_INDEX" -c requirements.lock -e '.[demo,formats,serve]' 'jupyterlab>=4'

COPY --chown=rocks nbs nbs
COPY --chown=rocks docs docs
COPY --chown=rocks data/README.md data/
COPY --chown=rocks outputs/README.md outputs/

EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "--notebook-dir=nbs"]
