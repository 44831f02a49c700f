"""AdmissionReview v1, the request decoded and the response encoded; never what is answered."""
