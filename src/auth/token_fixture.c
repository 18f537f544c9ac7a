// SPDX-License-Identifier: Apache-2.0
//
// auth/token_fixture.c - see token_fixture.h.

#include "auth/token_fixture.h"

#include "auth/key.h"

static const char hs[] =
    "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"hs\",\"k\":\"XwW2f49Czxc1Xk8zyl2bBHAUyzdScnVn"
    "LKZsxqm89EA\"}";

static const char rs[] =
    "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"rs\",\"n\":\"s2ldeK7fSgrNJMQiVSjjLab1_FTaj15f"
    "VSPKoWsbvdup0vW2CoOuwWWfXN1BWsnuI4NqKsZs2mcfRuik-kXz6z7Jr8LJXfriOUkjAdx_cfr8mNLN"
    "wTLGqrZVLdlTDGIzVeaf-mGYc2MNJVhLx_eXAVJRS2Biqz0m2Rc_IRtsAokq51gxoeytKv-e1tOmCfSV"
    "3nLUFBDk3Lj_33teLuIb-B3oWnD2TbgnC68UxrP3Yz3CR40eaMIJQalSs32J1-rgfrep2Gb2hWj7fCJu"
    "hOLRWXDEazELc04vcWv0V-YC_BwcljDLSnwoHgpSLUmyH3DZw1dJ8xOjH_6_fSFBreAoMw\",\"e\":\"AQA"
    "B\",\"d\":\"NSxLsypk7D1iSnzEzieFmTCsJAKEGky2hXXLpuanPLBfVzJSpzAa-Z-kSTIcHgvOBAF9VDsl"
    "5N7-UpY92x0jazvbK7fX1X43URIfiXwv23ivJ54GtDVX0x2iBiosZnWuUE2_aUZGmCAps8FFCHmVbCNZ"
    "C7V_2M-RdXLh126YpvFAEiKUlJeDMLMzVxgvbdW2B8KdzHQbywX3Sewi6yzjN-mwvz2hLe_5tggmOTCq"
    "ZgyF5V-yhB3TBpeRug8yw0Un-yXFk6raQuzSItrMuULJGYqKbGsbaGlmFgXYOnCkQRSy9EleQ5c1_ePO"
    "tjBqPFRYW5UNhdoJeW-bdVqok_lgtQ\",\"p\":\"5ONbJi9AKlwe8Gc-NyPrY_JBL9QeEVQV-ztJbl_9X-y"
    "-0Q1fu5u4ofEpfdhwA4_Zsim8y29oLsK9NTm-jJuiuzfZcyJjtSkhbr5iJB_Lmqn6KRXXnrUvh4I1Bjn"
    "LSIoG9bNiC5W3ndZOfxC-bu3IsLxazRnaRlmXNIygnrkEJiU\",\"q\":\"yKm3nd_eQuwbBZB6_nXi3p6P8"
    "x4SIBZnML4qxNt57QsaOv_u-co6M5ej_FUdyEG4j2IO4J74y3Vnua6jVWBlVfdMLWZyT2gWbWxmI5RJr"
    "murq2gmagpf6pYWGi5N4jF9DiXALzO-SrLxFVWBgqU6_sRRHwCSaH4IUbuJl9t0qXc\",\"dp\":\"bdbVNP"
    "vT1QAkMMW6y4dHPM1SjvtB-prZeZi34mnaE6Bu6a97U3KlJcGvYZ7uEieEFsWEvjOWUWpOli5BzQQbEb"
    "D5fxDvvE4ipxxhyGghsvUDAZhjwtu8FVFc1MIDVao3MM2GrXyJgwsG3F9So7Uka_vXrzlK0BvKPgOGSO"
    "UMoqk\",\"dq\":\"NbEz8Ip2bnG-yT5fqrbgfbDv0524O93CvsgjqYkQltzhp-fTigMSj7uDpYEg9vSe7b7"
    "PPEtNRyOjHYwdKDsi4l3JhFxlOdogJidbLSoAjStCRBsaLEWaZKrEPz0kmeGkFKUFR5wQzuwSliLLBKo"
    "xnvnouuLsSglvMG994aRXEwE\",\"qi\":\"sJoR2k6Is5TRFReNtXutJf-ALFEQaqBrSVl9qaYuSMbwsDQe"
    "zrPmBnb-VwFNSpPWwamVUhvkb2-CVT1iFAsUBgwDIFyODfvOBEkeyfhzyy8D6oWiRNCgzbfnBv9dSEs8"
    "3cf5E3yED6Pm9m8nnFX2xXDgrMGcFhOCxcB3IFoLz1s\"}";

static const char ps[] =
    "{\"kty\":\"RSA\",\"alg\":\"PS256\",\"kid\":\"ps\",\"n\":\"s2ldeK7fSgrNJMQiVSjjLab1_FTaj15f"
    "VSPKoWsbvdup0vW2CoOuwWWfXN1BWsnuI4NqKsZs2mcfRuik-kXz6z7Jr8LJXfriOUkjAdx_cfr8mNLN"
    "wTLGqrZVLdlTDGIzVeaf-mGYc2MNJVhLx_eXAVJRS2Biqz0m2Rc_IRtsAokq51gxoeytKv-e1tOmCfSV"
    "3nLUFBDk3Lj_33teLuIb-B3oWnD2TbgnC68UxrP3Yz3CR40eaMIJQalSs32J1-rgfrep2Gb2hWj7fCJu"
    "hOLRWXDEazELc04vcWv0V-YC_BwcljDLSnwoHgpSLUmyH3DZw1dJ8xOjH_6_fSFBreAoMw\",\"e\":\"AQA"
    "B\",\"d\":\"NSxLsypk7D1iSnzEzieFmTCsJAKEGky2hXXLpuanPLBfVzJSpzAa-Z-kSTIcHgvOBAF9VDsl"
    "5N7-UpY92x0jazvbK7fX1X43URIfiXwv23ivJ54GtDVX0x2iBiosZnWuUE2_aUZGmCAps8FFCHmVbCNZ"
    "C7V_2M-RdXLh126YpvFAEiKUlJeDMLMzVxgvbdW2B8KdzHQbywX3Sewi6yzjN-mwvz2hLe_5tggmOTCq"
    "ZgyF5V-yhB3TBpeRug8yw0Un-yXFk6raQuzSItrMuULJGYqKbGsbaGlmFgXYOnCkQRSy9EleQ5c1_ePO"
    "tjBqPFRYW5UNhdoJeW-bdVqok_lgtQ\",\"p\":\"5ONbJi9AKlwe8Gc-NyPrY_JBL9QeEVQV-ztJbl_9X-y"
    "-0Q1fu5u4ofEpfdhwA4_Zsim8y29oLsK9NTm-jJuiuzfZcyJjtSkhbr5iJB_Lmqn6KRXXnrUvh4I1Bjn"
    "LSIoG9bNiC5W3ndZOfxC-bu3IsLxazRnaRlmXNIygnrkEJiU\",\"q\":\"yKm3nd_eQuwbBZB6_nXi3p6P8"
    "x4SIBZnML4qxNt57QsaOv_u-co6M5ej_FUdyEG4j2IO4J74y3Vnua6jVWBlVfdMLWZyT2gWbWxmI5RJr"
    "murq2gmagpf6pYWGi5N4jF9DiXALzO-SrLxFVWBgqU6_sRRHwCSaH4IUbuJl9t0qXc\",\"dp\":\"bdbVNP"
    "vT1QAkMMW6y4dHPM1SjvtB-prZeZi34mnaE6Bu6a97U3KlJcGvYZ7uEieEFsWEvjOWUWpOli5BzQQbEb"
    "D5fxDvvE4ipxxhyGghsvUDAZhjwtu8FVFc1MIDVao3MM2GrXyJgwsG3F9So7Uka_vXrzlK0BvKPgOGSO"
    "UMoqk\",\"dq\":\"NbEz8Ip2bnG-yT5fqrbgfbDv0524O93CvsgjqYkQltzhp-fTigMSj7uDpYEg9vSe7b7"
    "PPEtNRyOjHYwdKDsi4l3JhFxlOdogJidbLSoAjStCRBsaLEWaZKrEPz0kmeGkFKUFR5wQzuwSliLLBKo"
    "xnvnouuLsSglvMG994aRXEwE\",\"qi\":\"sJoR2k6Is5TRFReNtXutJf-ALFEQaqBrSVl9qaYuSMbwsDQe"
    "zrPmBnb-VwFNSpPWwamVUhvkb2-CVT1iFAsUBgwDIFyODfvOBEkeyfhzyy8D6oWiRNCgzbfnBv9dSEs8"
    "3cf5E3yED6Pm9m8nnFX2xXDgrMGcFhOCxcB3IFoLz1s\"}";

static const char es[] =
    "{\"kty\":\"EC\",\"crv\":\"" PHI_EC_CURVE
    "\",\"kid\":\"es\",\"x\":\"cK6ZxQMaoTGgWKhY7f-11QBug8i7JcBtI"
    "4x6YJT8p28\",\"y\":\"h4mFiO6QSUI2e8DdPYMXkKwO4a-Ks6J-BU7LetyuJjU\",\"d\":\"-CRqZ4tfMBz0J"
    "9i4JhqI_uWVeH1qIuSGuHcd6jMpG50\"}";

static const char ed[] =
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"V_8Y7N5i1xj7IBc6xRlRmc9sC9wbfy"
    "Jm4d0-LjZ02aU\",\"d\":\"fMeiPs92PFlVULAUIMjzI-jvKDLcw1r0dpMo96cOd6E\"}";

const char *const phi_fixture_private[PHI_JWS_COUNT] = {
    [PHI_JWS_HS256] = hs, [PHI_JWS_RS256] = rs, [PHI_JWS_PS256] = ps,
    [PHI_JWS_ES256] = es, [PHI_JWS_EDDSA] = ed,
};

const char phi_fixture_public[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"rs\",\"n\":\"s2ldeK7fSgrNJMQiVSjjL"
    "ab1_FTaj15fVSPKoWsbvdup0vW2CoOuwWWfXN1BWsnuI4NqKsZs2mcfRuik-kXz6z7Jr8LJXfriOUkjA"
    "dx_cfr8mNLNwTLGqrZVLdlTDGIzVeaf-mGYc2MNJVhLx_eXAVJRS2Biqz0m2Rc_IRtsAokq51gxoeytK"
    "v-e1tOmCfSV3nLUFBDk3Lj_33teLuIb-B3oWnD2TbgnC68UxrP3Yz3CR40eaMIJQalSs32J1-rgfrep2"
    "Gb2hWj7fCJuhOLRWXDEazELc04vcWv0V-YC_BwcljDLSnwoHgpSLUmyH3DZw1dJ8xOjH_6_fSFBreAoM"
    "w\",\"e\":\"AQAB\"},{\"kty\":\"RSA\",\"alg\":\"PS256\",\"kid\":\"ps\",\"n\":\"s2ldeK7fSgrN"
    "JMQiVSjjLab1_FTaj15fVSPKoWsbvdup0vW2CoOuwWWfXN1BWsnuI4NqKsZs2mcfRuik-kXz6z7Jr8LJ"
    "XfriOUkjAdx_cfr8mNLNwTLGqrZVLdlTDGIzVeaf-mGYc2MNJVhLx_eXAVJRS2Biqz0m2Rc_IRtsAokq"
    "51gxoeytKv-e1tOmCfSV3nLUFBDk3Lj_33teLuIb-B3oWnD2TbgnC68UxrP3Yz3CR40eaMIJQalSs32J"
    "1-rgfrep2Gb2hWj7fCJuhOLRWXDEazELc04vcWv0V-YC_BwcljDLSnwoHgpSLUmyH3DZw1dJ8xOjH_6_"
    "fSFBreAoMw\",\"e\":\"AQAB\"},{\"kty\":\"EC\",\"crv\":\"" PHI_EC_CURVE
    "\",\"kid\":\"es\",\"x\":\"cK6Z"
    "xQMaoTGgWKhY7f-11QBug8i7JcBtI4x6YJT8p28\",\"y\":\"h4mFiO6QSUI2e8DdPYMXkKwO4a-Ks6J-BU"
    "7LetyuJjU\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"V_8Y7N5i1xj7IBc6x"
    "RlRmc9sC9wbfyJm4d0-LjZ02aU\"},{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"hs\",\"k\":\"Xw"
    "W2f49Czxc1Xk8zyl2bBHAUyzdScnVnLKZsxqm89EA\"}]}";

const char phi_fixture_pem[] =
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAs2ldeK7fS"
    "grNJMQiVSjj\nLab1/FTaj15fVSPKoWsbvdup0vW2CoOuwWWfXN1BWsnuI4NqKsZs2mcfRuik+kXz\n6z7"
    "Jr8LJXfriOUkjAdx/cfr8mNLNwTLGqrZVLdlTDGIzVeaf+mGYc2MNJVhLx/eX\nAVJRS2Biqz0m2Rc/IR"
    "tsAokq51gxoeytKv+e1tOmCfSV3nLUFBDk3Lj/33teLuIb\n+B3oWnD2TbgnC68UxrP3Yz3CR40eaMIJQ"
    "alSs32J1+rgfrep2Gb2hWj7fCJuhOLR\nWXDEazELc04vcWv0V+YC/BwcljDLSnwoHgpSLUmyH3DZw1dJ"
    "8xOjH/6/fSFBreAo\nMwIDAQAB\n-----END PUBLIC KEY-----\n";
