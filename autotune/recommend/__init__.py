"""The selection guide: from a model, a workload and a load to ranked methods, by the tables of conf/recommend."""
