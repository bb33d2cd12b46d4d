# One image for machines with and without a GPU: torch's standard wheels include the CUDA libraries, and the app uses
# a GPU if the container has one (docker run --gpus all).
FROM python:3.12-slim

# Set this to an index of CPU-only torch wheels for a much smaller image.
ARG PIP_EXTRA_INDEX_URL

RUN useradd --create-home --uid 1000 user \
    && install -d -o user -g user /home/user/app /home/user/.cache
USER 1000
# .cache holds all downloads and results, so that one volume keeps them.
ENV HOME=/home/user \
    PATH=/home/user/.local/bin:$PATH \
    U2NET_HOME=/home/user/.cache/rembg \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    GRADIO_ANALYTICS_ENABLED=False \
    HF_HUB_DISABLE_TELEMETRY=1
WORKDIR /home/user/app

COPY --chown=1000:1000 requirements.txt constraints.txt ./
RUN pip install --user --no-cache-dir -r requirements.txt -c constraints.txt

# The models to serve. The pocket models are part of the source. The weights of sd15 (2.8 GB) have a layer of their own
# before the source, so that a change to the source doesn't download them again.
ARG MODELS=pocket
ENV POSEANIMATE_MODELS=$MODELS
RUN case "$MODELS" in \
    pocket) ;; \
    sd15) \
        hf download --revision 451f4fe16113bff5a5d2269ed5ad43b0592e9a14 stable-diffusion-v1-5/stable-diffusion-v1-5 \
            model_index.json scheduler/scheduler_config.json \
            text_encoder/config.json text_encoder/model.fp16.safetensors \
            tokenizer/merges.txt tokenizer/special_tokens_map.json tokenizer/tokenizer_config.json tokenizer/vocab.json \
            unet/config.json unet/diffusion_pytorch_model.fp16.safetensors \
            vae/config.json vae/diffusion_pytorch_model.fp16.safetensors \
        && hf download --revision 9ae9f970358db89e211b87c915f9535c6686d5ba lllyasviel/control_v11p_sd15_openpose \
            config.json diffusion_pytorch_model.fp16.safetensors ;; \
    *) echo "MODELS is pocket or sd15, not $MODELS" >&2; exit 1 ;; \
    esac

COPY --chown=1000:1000 . .
# BlazePose's networks: 36 MB, of which 10 are kept.
RUN python -m poseanimate.models.blazepose.files

EXPOSE 7860
# Process 1 ignores SIGTERM unless it handles it; Python handles SIGINT.
STOPSIGNAL SIGINT
# Healthy once the page answers; the start period allows for weights that are downloaded at startup.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15m \
    CMD ["python", "-c", "import os; from http.client import HTTPConnection; page = HTTPConnection('127.0.0.1:' + os.environ['GRADIO_SERVER_PORT'], timeout=4); page.request('HEAD', '/'); exit(page.getresponse().status != 200)"]
CMD ["python", "app.py"]
