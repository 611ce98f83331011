"""Whether a measurement can be believed: drift, disturbances, knobs without effect. Decided from numbers that were
recorded while measuring; nothing here measures.
"""
