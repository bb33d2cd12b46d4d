"""BlazePose (Bazarevsky et al. 2020), by MediaPipe's published networks: people, landmarks and masks."""
