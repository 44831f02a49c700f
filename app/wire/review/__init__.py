"""AdmissionReview v1: the request decoded, the response encoded; what is answered is admission's."""
