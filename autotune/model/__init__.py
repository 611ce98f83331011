"""What a configuration will bring, before it is measured: steps cost by rows and levels, drafts are accepted by
position.

Read `evidence.py` (what is kept of a trial), `acceptance.py` and `cost.py` (the two halves), `physics.py` (the halves
put together), `predict.py` (the intervals), `advisor.py` (what the search makes of it). Nothing here measures, and a
prediction is never counted as a measurement.
"""
