"""Metrics under a named protocol: MAE, PSNR, SSIM per image, and the error by spatial frequency."""
