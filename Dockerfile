FROM python:3.12-slim

# An index of CPU builds of torch may be named here; without it the image carries CUDA's libraries.
ARG PIP_EXTRA_INDEX_URL

RUN useradd --create-home --uid 1000 user && install -d -o user -g user /home/user/app
USER user
ENV HOME=/home/user \
    PATH=/home/user/.local/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_ANALYTICS_ENABLED=False
WORKDIR /home/user/app

COPY --chown=user requirements.txt constraints.txt ./
RUN pip install --user --no-cache-dir -r requirements.txt -c constraints.txt
COPY --chown=user . .

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=2m \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "app.py"]
