"""A small replicator: copies each object of an SQS batch with boto3.

It sends one CopyObject per record. Unlike s3ferry it does not order events, check the copy or handle large objects.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config

COPIES_IN_FLIGHT = 16
DESTINATION = os.environ["DESTINATION_BUCKET"]

s3 = boto3.client(
    "s3", region_name=os.environ["DESTINATION_REGION"], config=Config(max_pool_connections=COPIES_IN_FLIGHT)
)
pool = ThreadPoolExecutor(COPIES_IN_FLIGHT)


def copy(record):
    """Copies the object of one record."""
    bucket = record["s3"]["bucket"]["name"]
    key = unquote_plus(record["s3"]["object"]["key"])
    s3.copy_object(Bucket=DESTINATION, Key=key, CopySource={"Bucket": bucket, "Key": key})


def replicate(message):
    """Copies the objects of one message. Returns its failure, if any."""
    try:
        for record in json.loads(message["body"])["Records"]:
            copy(record)
    except Exception as error:  # Any failure returns the message to the queue.
        print(f"{message['messageId']}: {error}")
        return {"itemIdentifier": message["messageId"]}
    return None


def handler(event, _context):
    """Handles a batch, and returns the messages that failed."""
    messages = event["Records"]
    outcomes = map(replicate, messages) if len(messages) == 1 else pool.map(replicate, messages)
    return {"batchItemFailures": [failure for failure in outcomes if failure]}
