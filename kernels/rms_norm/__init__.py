"""RMSNorm, alone and fused with the addition to the residual stream before it."""
